// Judges the signatures of PDFs with BouncyCastle alone: reads lines from standard input,
//   CA.der<tab>FILE.pdf
// and prints for each `ok`, followed by digest and signature algorithm of every signature, or `bad` and why.
// Nothing of this is shared with our own code: the ranges are searched in the bytes of the file, CMS,
// certificates, SM2 with SM3 are BouncyCastle's. Document timestamps are left out.
//
//     java -cp /usr/share/java/bcprov.jar:/usr/share/java/bcutil.jar:/usr/share/java/bcpkix.jar CmsOracle.java < list

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.Collection;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bouncycastle.asn1.ASN1InputStream;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.ess.ESSCertIDv2;
import org.bouncycastle.asn1.ess.SigningCertificateV2;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

public class CmsOracle {
    static final Pattern RANGE = Pattern.compile("/ByteRange\\s*\\[\\s*(\\d+)\\s+(\\d+)\\s+(\\d+)\\s+(\\d+)\\s*\\]");

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t");
            String verdict;
            try {
                CertificateFactory factory = CertificateFactory.getInstance("X.509", "BC");
                X509Certificate ca = (X509Certificate) factory.generateCertificate(
                        new ByteArrayInputStream(Files.readAllBytes(Path.of(words[0]))));
                verdict = pdf(Files.readAllBytes(Path.of(words[1])), ca);
            } catch (Exception error) {
                verdict = "bad " + error;
            }
            System.out.println(verdict.replace('\n', ' '));
        }
    }

    static String pdf(byte[] file, X509Certificate ca) throws Exception {
        StringBuilder said = new StringBuilder("ok");
        String text = new String(file, StandardCharsets.ISO_8859_1);
        for (Matcher range = RANGE.matcher(text); range.find();) {
            int[] at = new int[4];
            for (int index = 0; index < 4; index++) {
                at[index] = Integer.parseInt(range.group(index + 1));
            }
            int end = at[2] + at[3];
            check(at[0] == 0 && at[1] < at[2] && end <= file.length, "range");
            check(file[at[1]] == '<' && file[at[2] - 1] == '>', "gap");
            byte[] content = Arrays.copyOf(file, at[1] + at[3]);
            System.arraycopy(file, at[2], content, at[1], at[3]);
            byte[] padded = org.bouncycastle.util.encoders.Hex.decode(text.substring(at[1] + 1, at[2] - 1));
            byte[] object = new ASN1InputStream(padded).readObject().getEncoded("DER");
            check(Arrays.equals(object, Arrays.copyOf(padded, object.length)), "not DER");
            if (!new CMSSignedData(object).getSignedContentTypeOID().equals(PKCSObjectIdentifiers.id_ct_TSTInfo.getId())) {
                said.append(' ').append(signature(object, content, ca));
            }
        }
        check(said.length() > 2, "no signature");
        return said.toString();
    }

    static String signature(byte[] object, byte[] content, X509Certificate ca) throws Exception {
        CMSSignedData signed = new CMSSignedData(new CMSProcessableByteArray(content), object);
        Collection<SignerInformation> signers = signed.getSignerInfos().getSigners();
        check(signers.size() == 1, "not one signer");
        SignerInformation signer = signers.iterator().next();
        @SuppressWarnings("unchecked")
        Collection<X509CertificateHolder> own = signed.getCertificates().getMatches(signer.getSID());
        check(own.size() == 1, "the signer's certificate is missing");
        X509CertificateHolder certificate = own.iterator().next();
        CertificateFactory factory = CertificateFactory.getInstance("X.509", "BC");
        ((X509Certificate) factory.generateCertificate(new ByteArrayInputStream(certificate.getEncoded())))
                .verify(ca.getPublicKey(), "BC");
        check(signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(certificate)), "signature");
        Attribute named = signer.getSignedAttributes().get(PKCSObjectIdentifiers.id_aa_signingCertificateV2);
        ESSCertIDv2 first = SigningCertificateV2.getInstance(named.getAttrValues().getObjectAt(0)).getCerts()[0];
        byte[] hash = java.security.MessageDigest.getInstance(first.getHashAlgorithm().getAlgorithm().getId(), "BC")
                .digest(certificate.getEncoded());
        check(Arrays.equals(hash, first.getCertHash()), "another certificate is named");
        return signer.getDigestAlgOID() + "+" + signer.getEncryptionAlgOID();
    }

    static void check(boolean holds, String what) throws Exception {
        if (!holds) {
            throw new Exception(what);
        }
    }
}
