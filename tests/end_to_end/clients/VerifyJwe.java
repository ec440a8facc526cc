import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.math.BigInteger;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.interfaces.ECPublicKey;
import java.security.spec.ECPoint;
import java.security.spec.ECPublicKeySpec;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.RSAPublicKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Cipher;
import javax.crypto.KeyAgreement;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import javax.crypto.spec.SecretKeySpec;

/**
 * Compares two photos: java VerifyJwe.java URL A.jpg B.jpg [JWK.json]. Needs JDK 17 or later and nothing else. Without a
 * JWK the photos are sealed to the first key that the device publishes. TOKEN in the environment: the terminal's.
 */
public final class VerifyJwe {
    private static final int KEY_BYTES = 32;
    private static final int IV_BYTES = 12;
    private static final int TAG_BYTES = 16;
    private static final byte[] X25519_PREFIX = HexFormat.of().parseHex("302a300506032b656e032100"); // RFC 8410, section 4
    private static final Base64.Encoder BASE64URL = Base64.getUrlEncoder().withoutPadding();
    private static final SecureRandom RANDOM = new SecureRandom();
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    public static void main(String[] args) throws Exception {
        String key = args.length > 3 ? Files.readString(Path.of(args[3])) : published(args[0]);
        String form = "first_encrypted_image=" + seal(args[1], key) + "&second_encrypted_image=" + seal(args[2], key);
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(args[0] + "/identity/image_verification/stateless"))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(HttpRequest.BodyPublishers.ofString(form));
        String token = System.getenv("TOKEN");
        if (token != null) {
            request.header("Authorization", "Bearer " + token);
        }
        System.out.println(HTTP.send(request.build(), BodyHandlers.ofString()).body());
    }

    private static String published(String url) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + "/.well-known/jwks.json")).build();
        Matcher first = Pattern.compile("\\{[^{}]*\\}").matcher(HTTP.send(request, BodyHandlers.ofString()).body());
        return first.find() ? first.group() : "";
    }

    /** JWE in compact serialisation. */
    private static String seal(String photo, String jwk) throws Exception {
        String kty = member(jwk, "kty");
        String alg = kty.equals("RSA") ? "RSA-OAEP-256" : kty.equals("oct") ? "dir" : "ECDH-ES";
        String epk = "";
        byte[] encryptedKey = {};
        byte[] contentKey = random(KEY_BYTES);
        if (alg.equals("dir")) {
            contentKey = octets(jwk, "k");
        } else if (alg.equals("RSA-OAEP-256")) {
            encryptedKey = wrap(contentKey, jwk);
        } else {
            KeyPair own = kty.equals("EC") ? onP256() : KeyPairGenerator.getInstance("X25519").generateKeyPair();
            epk = ",\"epk\":" + asJwk(own.getPublic());
            contentKey = agree(own, kty.equals("EC") ? p256(jwk, own) : x25519(jwk));
        }
        // iat and jti are for devices that take a photo once only.
        String header = String.format(
                "{\"alg\":\"%s\",\"enc\":\"A256GCM\",\"kid\":\"%s\",\"iat\":%d,\"jti\":\"%s\"%s}",
                alg, member(jwk, "kid"), Instant.now().getEpochSecond(), UUID.randomUUID(), epk);
        String covered = text(header.getBytes(StandardCharsets.UTF_8));
        byte[] iv = random(IV_BYTES);
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
        cipher.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(contentKey, "AES"), new GCMParameterSpec(8 * TAG_BYTES, iv));
        cipher.updateAAD(covered.getBytes(StandardCharsets.US_ASCII));
        byte[] sealed = cipher.doFinal(Files.readAllBytes(Path.of(photo)));
        byte[] ciphertext = Arrays.copyOf(sealed, sealed.length - TAG_BYTES);
        byte[] tag = Arrays.copyOfRange(sealed, ciphertext.length, sealed.length);
        return String.join(".", covered, text(encryptedKey), text(iv), text(ciphertext), text(tag));
    }

    private static byte[] wrap(byte[] contentKey, String jwk) throws GeneralSecurityException {
        RSAPublicKeySpec device = new RSAPublicKeySpec(number(jwk, "n"), number(jwk, "e"));
        Cipher cipher = Cipher.getInstance("RSA/ECB/OAEPPadding");
        // Both hashes must be named: Java takes SHA-1 for the mask otherwise.
        cipher.init(Cipher.ENCRYPT_MODE, KeyFactory.getInstance("RSA").generatePublic(device),
                new OAEPParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, PSource.PSpecified.DEFAULT));
        return cipher.doFinal(contentKey);
    }

    /** Key agreement and Concat KDF. Source: RFC 7518, section 4.6.2. */
    private static byte[] agree(KeyPair own, PublicKey device) throws Exception {
        KeyAgreement agreement = KeyAgreement.getInstance(own.getPublic() instanceof ECPublicKey ? "ECDH" : "X25519");
        agreement.init(own.getPrivate());
        agreement.doPhase(device, true);
        ByteArrayOutputStream hashed = new ByteArrayOutputStream();
        DataOutputStream into = new DataOutputStream(hashed);
        into.writeInt(1);
        into.write(agreement.generateSecret());
        into.writeInt("A256GCM".length());
        into.writeBytes("A256GCM");
        into.writeInt(0); // apu
        into.writeInt(0); // apv
        into.writeInt(8 * KEY_BYTES);
        return MessageDigest.getInstance("SHA-256").digest(hashed.toByteArray());
    }

    private static PublicKey x25519(String jwk) throws Exception {
        ByteArrayOutputStream der = new ByteArrayOutputStream();
        der.write(X25519_PREFIX);
        der.write(octets(jwk, "x"));
        return KeyFactory.getInstance("X25519").generatePublic(new X509EncodedKeySpec(der.toByteArray()));
    }

    private static KeyPair onP256() throws GeneralSecurityException {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(8 * KEY_BYTES);
        return generator.generateKeyPair();
    }

    private static PublicKey p256(String jwk, KeyPair own) throws GeneralSecurityException {
        ECPoint point = new ECPoint(number(jwk, "x"), number(jwk, "y"));
        return KeyFactory.getInstance("EC").generatePublic(
                new ECPublicKeySpec(point, ((ECPublicKey) own.getPublic()).getParams()));
    }

    private static String asJwk(PublicKey key) {
        byte[] der = key.getEncoded(); // ends with the point: x, or x and y
        String last = text(Arrays.copyOfRange(der, der.length - KEY_BYTES, der.length));
        if (!(key instanceof ECPublicKey)) {
            return "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" + last + "\"}";
        }
        String x = text(Arrays.copyOfRange(der, der.length - 2 * KEY_BYTES, der.length - KEY_BYTES));
        return "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" + x + "\",\"y\":\"" + last + "\"}";
    }

    private static String member(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\"\\s*:\\s*\"([^\"]*)\"").matcher(json);
        return found.find() ? found.group(1) : "";
    }

    private static byte[] octets(String json, String name) {
        return Base64.getUrlDecoder().decode(member(json, name));
    }

    private static BigInteger number(String json, String name) {
        return new BigInteger(1, octets(json, name));
    }

    private static byte[] random(int size) {
        byte[] made = new byte[size];
        RANDOM.nextBytes(made);
        return made;
    }

    private static String text(byte[] content) {
        return BASE64URL.encodeToString(content);
    }
}
