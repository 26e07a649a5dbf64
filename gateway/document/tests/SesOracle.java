// Judges seal data of GB/T 38540-2020 with BouncyCastle alone: reads lines from standard input,
//   seal<tab>CA.der<tab>SEAL.esl
//   signature<tab>CA.der<tab>SIGNATURE.ses<tab>DOCUMENT
// and prints for each `ok`, followed by what it read, or `bad` and why. Nothing of this is shared with our own
// code: structure by BouncyCastle's ASN.1 reader, SM2 with SM3 and certificates by its provider.
//
//     java -cp /usr/share/java/bcprov.jar SesOracle.java < list

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.Security;
import java.security.Signature;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import org.bouncycastle.asn1.ASN1BitString;
import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.ASN1GeneralizedTime;
import org.bouncycastle.asn1.ASN1IA5String;
import org.bouncycastle.asn1.ASN1Integer;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.ASN1Primitive;
import org.bouncycastle.asn1.ASN1PrintableString;
import org.bouncycastle.asn1.ASN1Sequence;
import org.bouncycastle.asn1.ASN1UTF8String;
import org.bouncycastle.asn1.gm.GMObjectIdentifiers;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

public class SesOracle {
    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t");
            String verdict;
            try {
                X509Certificate ca = certificate(Files.readAllBytes(Path.of(words[1])));
                byte[] data = Files.readAllBytes(Path.of(words[2]));
                verdict = words[0].equals("seal")
                        ? seal(whole(data), ca)
                        : signature(whole(data), ca, Files.readAllBytes(Path.of(words[3])));
            } catch (Exception error) {
                verdict = "bad " + error;
            }
            System.out.println(verdict.replace('\n', ' '));
        }
    }

    /** One object, and exactly its DER. */
    static ASN1Sequence whole(byte[] data) throws Exception {
        ASN1Primitive read = ASN1Primitive.fromByteArray(data);
        check(Arrays.equals(read.getEncoded("DER"), data), "not DER");
        return ASN1Sequence.getInstance(read);
    }

    static String seal(ASN1Sequence seal, X509Certificate ca) throws Exception {
        check(seal.size() == 4, "SESeal has " + seal.size() + " members");
        ASN1Sequence info = ASN1Sequence.getInstance(seal.getObjectAt(0));
        ASN1Sequence header = ASN1Sequence.getInstance(info.getObjectAt(0));
        check(text(header.getObjectAt(0)).equals("ES"), "header");
        check(ASN1Integer.getInstance(header.getObjectAt(1)).intValueExact() == 4, "version");
        ASN1Sequence property = ASN1Sequence.getInstance(info.getObjectAt(2));
        check(property.size() == 7, "SES_ESPropertyInfo");
        for (int time = 4; time < 7; time++) {
            ASN1GeneralizedTime.getInstance(property.getObjectAt(time)).getDate();
        }
        ASN1Sequence picture = ASN1Sequence.getInstance(info.getObjectAt(3));
        byte[] image = ASN1OctetString.getInstance(picture.getObjectAt(1)).getOctets();
        verify(info, seal, 1, ca, "maker");
        return "ok " + text(info.getObjectAt(1)) + " " + ASN1UTF8String.getInstance(property.getObjectAt(1)).getString()
                + " " + text(picture.getObjectAt(0)) + " " + image.length + " "
                + ASN1Integer.getInstance(picture.getObjectAt(2)) + "x"
                + ASN1Integer.getInstance(picture.getObjectAt(3));
    }

    static String signature(ASN1Sequence signature, X509Certificate ca, byte[] document) throws Exception {
        check(signature.size() == 4 || signature.size() == 5, "SES_Signature has " + signature.size() + " members");
        ASN1Sequence toSign = ASN1Sequence.getInstance(signature.getObjectAt(0));
        check(toSign.size() == 5, "TBS_Sign has " + toSign.size() + " members");
        check(ASN1Integer.getInstance(toSign.getObjectAt(0)).intValueExact() == 4, "version");
        ASN1Sequence seal = ASN1Sequence.getInstance(toSign.getObjectAt(1));
        String about = seal(seal, ca);
        ASN1GeneralizedTime.getInstance(toSign.getObjectAt(2)).getDate();
        byte[] digest = MessageDigest.getInstance("SM3", "BC").digest(document);
        check(Arrays.equals(ASN1BitString.getInstance(toSign.getObjectAt(3)).getOctets(), digest), "other document");
        verify(toSign, signature, 1, ca, "signer");
        check(listed(seal, ASN1OctetString.getInstance(signature.getObjectAt(1)).getOctets()), "signer is not listed");
        return about + " " + text(toSign.getObjectAt(4));
    }

    /** Members from `first`: certificate, algorithm and signature over `content`; the certificate is the CA's. */
    static void verify(ASN1Sequence content, ASN1Sequence members, int first, X509Certificate ca, String who)
            throws Exception {
        X509Certificate holder = certificate(ASN1OctetString.getInstance(members.getObjectAt(first)).getOctets());
        holder.verify(ca.getPublicKey(), "BC");
        ASN1ObjectIdentifier algorithm = ASN1ObjectIdentifier.getInstance(members.getObjectAt(first + 1));
        check(algorithm.equals(GMObjectIdentifiers.sm2sign_with_sm3), "algorithm " + algorithm);
        Signature verifier = Signature.getInstance("SM3WITHSM2", "BC");
        verifier.initVerify(holder.getPublicKey());
        verifier.update(content.getEncoded("DER"));
        byte[] value = ASN1BitString.getInstance(members.getObjectAt(first + 2)).getOctets();
        check(verifier.verify(value), "signature of the " + who);
    }

    static boolean listed(ASN1Sequence seal, byte[] certificate) throws Exception {
        ASN1Sequence property = ASN1Sequence.getInstance(ASN1Sequence.getInstance(seal.getObjectAt(0)).getObjectAt(2));
        boolean digests = ASN1Integer.getInstance(property.getObjectAt(2)).intValueExact() == 2;
        for (ASN1Encodable member : ASN1Sequence.getInstance(property.getObjectAt(3))) {
            if (digests) {
                ASN1Sequence digest = ASN1Sequence.getInstance(member);
                check(ASN1PrintableString.getInstance(digest.getObjectAt(0)).getString().equals("SM3"), "function");
                byte[] own = MessageDigest.getInstance("SM3", "BC").digest(certificate);
                if (Arrays.equals(ASN1OctetString.getInstance(digest.getObjectAt(1)).getOctets(), own)) {
                    return true;
                }
            } else if (Arrays.equals(ASN1OctetString.getInstance(member).getOctets(), certificate)) {
                return true;
            }
        }
        return false;
    }

    static X509Certificate certificate(byte[] der) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509", "BC");
        return (X509Certificate) factory.generateCertificate(new ByteArrayInputStream(der));
    }

    static String text(ASN1Encodable value) {
        return ASN1IA5String.getInstance(value).getString();
    }

    static void check(boolean holds, String what) throws Exception {
        if (!holds) {
            throw new Exception(what);
        }
    }
}
