import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.AlgorithmParameters;
import java.security.Key;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.interfaces.ECPublicKey;
import java.security.interfaces.XECPublicKey;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPoint;
import java.security.spec.ECPublicKeySpec;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.NamedParameterSpec;
import java.security.spec.RSAPublicKeySpec;
import java.security.spec.XECPublicKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Cipher;
import javax.crypto.KeyAgreement;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import javax.crypto.spec.SecretKeySpec;

/**
 * Seals a photo with what Java itself has, no library. Photo on stdin, sealed photo on stdout:
 *
 * <pre>java Seal.java JWK HEADER &lt; photo</pre>
 *
 * JWK: a public key, or one of type oct, with its kid. HEADER: further members, JSON; apu and apv as base64url.
 */
public final class Seal {
    private static final Base64.Encoder TEXT = Base64.getUrlEncoder().withoutPadding();
    private static final Base64.Decoder BYTES = Base64.getUrlDecoder();
    private static final SecureRandom RANDOM = new SecureRandom();

    private final String jwk;
    private final String header;
    private String epk = "";

    private Seal(String jwk, String header) {
        this.jwk = jwk;
        this.header = header;
    }

    public static void main(String[] arguments) throws Exception {
        System.out.print(new Seal(arguments[0], arguments[1]).seal(System.in.readAllBytes()));
    }

    private String seal(byte[] photo) throws Exception {
        String kty = member(jwk, "kty");
        String alg = kty.equals("RSA") ? "RSA-OAEP-256" : kty.equals("oct") ? "dir" : "ECDH-ES";
        byte[] encryptedKey = new byte[0];
        byte[] contentKey;
        if (alg.equals("dir")) {
            contentKey = bytes(jwk, "k");
        } else if (alg.equals("RSA-OAEP-256")) {
            contentKey = random(32);
            encryptedKey = wrapped(contentKey);
        } else {
            contentKey = derived(kty.equals("OKP") ? agreedOnX25519() : agreedOnP256());
        }
        String rest = header.strip().substring(1, header.strip().length() - 1);
        String json = "{\"alg\":\"" + alg + "\",\"enc\":\"A256GCM\",\"kid\":\"" + member(jwk, "kid") + "\"" + epk
                + (rest.isBlank() ? "" : "," + rest) + "}";
        String protectedHeader = TEXT.encodeToString(json.getBytes(StandardCharsets.UTF_8));
        byte[] iv = random(12);
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
        cipher.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(contentKey, "AES"), new GCMParameterSpec(128, iv));
        cipher.updateAAD(protectedHeader.getBytes(StandardCharsets.US_ASCII));
        byte[] sealed = cipher.doFinal(photo);
        byte[] ciphertext = Arrays.copyOf(sealed, sealed.length - 16);
        byte[] tag = Arrays.copyOfRange(sealed, sealed.length - 16, sealed.length);
        return String.join(".", protectedHeader, TEXT.encodeToString(encryptedKey), TEXT.encodeToString(iv),
                TEXT.encodeToString(ciphertext), TEXT.encodeToString(tag));
    }

    private byte[] wrapped(byte[] contentKey) throws Exception {
        Key key = KeyFactory.getInstance("RSA")
                .generatePublic(new RSAPublicKeySpec(number(jwk, "n"), number(jwk, "e")));
        Cipher cipher = Cipher.getInstance("RSA/ECB/OAEPPadding");
        // Java's own default for the mask is SHA-1, also where the name says SHA-256.
        cipher.init(Cipher.ENCRYPT_MODE, key,
                new OAEPParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, PSource.PSpecified.DEFAULT));
        return cipher.doFinal(contentKey);
    }

    private byte[] agreedOnX25519() throws Exception {
        KeyPair own = KeyPairGenerator.getInstance("X25519").generateKeyPair();
        PublicKey device = KeyFactory.getInstance("X25519").generatePublic(
                new XECPublicKeySpec(NamedParameterSpec.X25519, new BigInteger(1, reversed(bytes(jwk, "x")))));
        byte[] u = reversed(fixed(((XECPublicKey) own.getPublic()).getU()));
        epk = ",\"epk\":{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" + TEXT.encodeToString(u) + "\"}";
        return agreed("X25519", own.getPrivate(), device);
    }

    private byte[] agreedOnP256() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        KeyPair own = generator.generateKeyPair();
        AlgorithmParameters curve = AlgorithmParameters.getInstance("EC");
        curve.init(new ECGenParameterSpec("secp256r1"));
        PublicKey device = KeyFactory.getInstance("EC").generatePublic(new ECPublicKeySpec(
                new ECPoint(number(jwk, "x"), number(jwk, "y")), curve.getParameterSpec(ECParameterSpec.class)));
        ECPoint point = ((ECPublicKey) own.getPublic()).getW();
        epk = ",\"epk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" + TEXT.encodeToString(fixed(point.getAffineX()))
                + "\",\"y\":\"" + TEXT.encodeToString(fixed(point.getAffineY())) + "\"}";
        return agreed("ECDH", own.getPrivate(), device);
    }

    private static byte[] agreed(String algorithm, PrivateKey own, PublicKey device) throws Exception {
        KeyAgreement agreement = KeyAgreement.getInstance(algorithm);
        agreement.init(own);
        agreement.doPhase(device, true);
        return agreement.generateSecret();
    }

    /** Concat KDF. Source: RFC 7518, section 4.6.2. */
    private byte[] derived(byte[] shared) throws Exception {
        ByteArrayOutputStream input = new ByteArrayOutputStream();
        input.write(fourBytes(1));
        input.write(shared);
        for (byte[] part : new byte[][] {"A256GCM".getBytes(StandardCharsets.US_ASCII), bytes(header, "apu"),
            bytes(header, "apv")}) {
            input.write(fourBytes(part.length));
            input.write(part);
        }
        input.write(fourBytes(256));
        return MessageDigest.getInstance("SHA-256").digest(input.toByteArray());
    }

    private static String member(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\"\\s*:\\s*\"([^\"]*)\"").matcher(json);
        return found.find() ? found.group(1) : "";
    }

    private static byte[] bytes(String json, String name) {
        return BYTES.decode(member(json, name));
    }

    private static BigInteger number(String json, String name) {
        return new BigInteger(1, bytes(json, name));
    }

    private static byte[] random(int size) {
        byte[] made = new byte[size];
        RANDOM.nextBytes(made);
        return made;
    }

    private static byte[] fixed(BigInteger number) {
        byte[] shortest = number.toByteArray();
        byte[] made = new byte[32];
        int length = Math.min(shortest.length, made.length);
        System.arraycopy(shortest, shortest.length - length, made, made.length - length, length);
        return made;
    }

    private static byte[] reversed(byte[] content) {
        byte[] made = new byte[content.length];
        for (int place = 0; place < content.length; place++) {
            made[place] = content[content.length - 1 - place];
        }
        return made;
    }

    private static byte[] fourBytes(int number) {
        return ByteBuffer.allocate(4).putInt(number).array();
    }
}
