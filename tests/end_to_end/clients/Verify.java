import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/** Compares two photos: java Verify.java URL A.jpg B.jpg. Needs the JDK and nothing else. */
public final class Verify {
    private static final byte[] KEY = "dcbbad6765e14139a07d34b92292a672".getBytes(StandardCharsets.UTF_8);
    private static final byte[] IV = "df25d188a061".getBytes(StandardCharsets.UTF_8);
    private static final int TAG_BITS = 128;

    public static void main(String[] args) throws Exception {
        String form = "first_encrypted_image=" + seal(args[1]) + "&second_encrypted_image=" + seal(args[2]);
        HttpRequest request = HttpRequest.newBuilder(URI.create(args[0] + "/identity/image_verification/stateless"))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(HttpRequest.BodyPublishers.ofString(form))
                .build();
        System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
    }

    private static String seal(String photo) throws Exception {
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
        cipher.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(KEY, "AES"), new GCMParameterSpec(TAG_BITS, IV));
        byte[] sealed = cipher.doFinal(Files.readAllBytes(Path.of(photo)));
        return URLEncoder.encode(Base64.getEncoder().encodeToString(sealed), StandardCharsets.UTF_8);
    }
}
