//! Test data. The bundles were made by the reference tool, model-signing 1.1.1, over the files of `FILES`;
//! the keys were made for this and guard nothing.

/// Names and contents.
pub(super) const FILES: [(&str, &str); 2] = [("a/b", "x"), ("a.bin", "y")];

/// When the certificates are valid, in seconds of Unix time: the signer's from here to there.
pub(super) const VALID: std::ops::Range<i64> = 1767312000..1853625600;

/// Signed with the first private key.
pub(super) const BY_KEY: &str = "\
{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\"verificationMaterial\":{\"publicKey\":{\"h\
int\":\"4d8bd4fb67b89032be20eedc286b5a00a89c6c39dc55d320d7eea905080a0674\"},\"tlogEntries\":[]},\"dsseEnve\
lope\":{\"payload\":\"ewogICJfdHlwZSI6ICJodHRwczovL2luLXRvdG8uaW8vU3RhdGVtZW50L3YxIiwKICAic3ViamVjdCI6IF\
sKICAgIHsKICAgICAgIm5hbWUiOiAibSIsCiAgICAgICJkaWdlc3QiOiB7CiAgICAgICAgInNoYTI1NiI6ICJmMTUwZTg1MDhiYm\
JjOGJlNTIzMmE5OTlhM2FmNzdiMDNmNDQzMGY4NmU3YjU5NTkzNDc2NzEwYTVhY2IwMTU2IgogICAgICB9CiAgICB9CiAgXSwKIC\
AicHJlZGljYXRlVHlwZSI6ICJodHRwczovL21vZGVsX3NpZ25pbmcvc2lnbmF0dXJlL3YxLjAiLAogICJwcmVkaWNhdGUiOiB7Ci\
AgICAic2VyaWFsaXphdGlvbiI6IHsKICAgICAgImlnbm9yZV9wYXRocyI6IFsKICAgICAgICAiLmdpdGF0dHJpYnV0ZXMiLAogIC\
AgICAgICIuZ2l0IiwKICAgICAgICAiLmdpdGh1YiIsCiAgICAgICAgIi5naXRpZ25vcmUiCiAgICAgIF0sCiAgICAgICJtZXRob2\
QiOiAiZmlsZXMiLAogICAgICAiYWxsb3dfc3ltbGlua3MiOiBmYWxzZSwKICAgICAgImhhc2hfdHlwZSI6ICJzaGEyNTYiCiAgIC\
B9LAogICAgInJlc291cmNlcyI6IFsKICAgICAgewogICAgICAgICJkaWdlc3QiOiAiMmQ3MTE2NDJiNzI2YjA0NDAxNjI3Y2E5Zm\
JhYzMyZjVjODUzMGZiMTkwM2NjNGRiMDIyNTg3MTc5MjFhNDg4MSIsCiAgICAgICAgImFsZ29yaXRobSI6ICJzaGEyNTYiLAogIC\
AgICAgICJuYW1lIjogImEvYiIKICAgICAgfSwKICAgICAgewogICAgICAgICJkaWdlc3QiOiAiYTFmY2U0MzYzODU0ZmY4ODhjZm\
Y0YjhlNzg3NWQ2MDBjMjY4MjM5MDQxMmE4Y2Y3OWIzN2QwYjExMTQ4YjBmYSIsCiAgICAgICAgImFsZ29yaXRobSI6ICJzaGEyNT\
YiLAogICAgICAgICJuYW1lIjogImEuYmluIgogICAgICB9CiAgICBdCiAgfQp9\",\"payloadType\":\"application/vnd.in-to\
to+json\",\"signatures\":[{\"sig\":\"MEYCIQCHxicp1OEWQUwlNks16grdibaZH+PVOHV6GhnT/UFipgIhAIibWs1C0cpp6mpEK\
C9nPrag64Uhg1TLmHfPJwB1Mc/E\",\"keyid\":\"\"}]}}";

/// Signed with `SIGNER`, which is for the same key; carries `ROOT`, too.
pub(super) const BY_CERTIFICATE: &str = "\
{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\"verificationMaterial\":{\"x509Certificat\
eChain\":{\"certificates\":[{\"rawBytes\":\"MIIBdDCCARugAwIBAgIUSYJUlWykhEJ3cQFD60j9SPiddn0wCgYIKoZIzj0EAw\
IwDzENMAsGA1UEAwwEUm9vdDAeFw0yNjAxMDIwMDAwMDBaFw0yODA5MjcwMDAwMDBaMBExDzANBgNVBAMMBlNpZ25lcjBZMBMGBy\
qGSM49AgEGCCqGSM49AwEHA0IABPz4Ai9LvXt7nB+FSdighXn4KDr4mp774UkfV7T3P8Rd6Yi3WQ3BksRaI6llxZBrdZ3doIvOTf\
wYweAeKPHES8WjUzBRMAwGA1UdEwEB/wQCMAAwDgYDVR0PAQH/BAQDAgeAMDEGA1UdEQQqMCiCEnNpZ25lci5leGFtcGxlLm9yZ4\
ESc2lnbmVyQGV4YW1wbGUub3JnMAoGCCqGSM49BAMCA0cAMEQCIBxdP/kGyVpRvvDM4BJkzeVjWbY/d3ky2VDE4G6FqvyyAiB37d\
U5GY6THTgbJIdniK3tbC7wosLu2GuBFWq1y4rBTA==\"},{\"rawBytes\":\"MIIBQzCB6aADAgECAhRoi9xnwdDQmLB6pQ56f+k52s\
EKEzAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARSb290MB4XDTI2MDEwMTAwMDAwMFoXDTM0MDMyMDAwMDAwMFowDzENMAsGA1UEAw\
wEUm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFVwJ2Qg/ivU1bu7ObVmqfeNiz/ly/QJMTKCO4A3NFnTKAzvuyMFwlji5m\
KH71kRWOID5RHezaU72+V40+4KNUejIzAhMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgIEMAoGCCqGSM49BAMCA0kAME\
YCIQC8ZULtwMs9z9BHKcQ+0j8rERaqi/hYA2OrJOfnAO1x7AIhAOIWJqwj1IFwWrjQcjrqtf7GnYWgZACvvDwa5lnJrM0c\"}]},\"\
tlogEntries\":[]},\"dsseEnvelope\":{\"payload\":\"ewogICJfdHlwZSI6ICJodHRwczovL2luLXRvdG8uaW8vU3RhdGVtZW50\
L3YxIiwKICAic3ViamVjdCI6IFsKICAgIHsKICAgICAgIm5hbWUiOiAibSIsCiAgICAgICJkaWdlc3QiOiB7CiAgICAgICAgInNo\
YTI1NiI6ICJmMTUwZTg1MDhiYmJjOGJlNTIzMmE5OTlhM2FmNzdiMDNmNDQzMGY4NmU3YjU5NTkzNDc2NzEwYTVhY2IwMTU2Igog\
ICAgICB9CiAgICB9CiAgXSwKICAicHJlZGljYXRlVHlwZSI6ICJodHRwczovL21vZGVsX3NpZ25pbmcvc2lnbmF0dXJlL3YxLjAi\
LAogICJwcmVkaWNhdGUiOiB7CiAgICAic2VyaWFsaXphdGlvbiI6IHsKICAgICAgImlnbm9yZV9wYXRocyI6IFsKICAgICAgICAi\
LmdpdGlnbm9yZSIsCiAgICAgICAgIi5naXRodWIiLAogICAgICAgICIuZ2l0YXR0cmlidXRlcyIsCiAgICAgICAgIi5naXQiCiAg\
ICAgIF0sCiAgICAgICJtZXRob2QiOiAiZmlsZXMiLAogICAgICAiYWxsb3dfc3ltbGlua3MiOiBmYWxzZSwKICAgICAgImhhc2hf\
dHlwZSI6ICJzaGEyNTYiCiAgICB9LAogICAgInJlc291cmNlcyI6IFsKICAgICAgewogICAgICAgICJkaWdlc3QiOiAiMmQ3MTE2\
NDJiNzI2YjA0NDAxNjI3Y2E5ZmJhYzMyZjVjODUzMGZiMTkwM2NjNGRiMDIyNTg3MTc5MjFhNDg4MSIsCiAgICAgICAgImFsZ29y\
aXRobSI6ICJzaGEyNTYiLAogICAgICAgICJuYW1lIjogImEvYiIKICAgICAgfSwKICAgICAgewogICAgICAgICJkaWdlc3QiOiAi\
YTFmY2U0MzYzODU0ZmY4ODhjZmY0YjhlNzg3NWQ2MDBjMjY4MjM5MDQxMmE4Y2Y3OWIzN2QwYjExMTQ4YjBmYSIsCiAgICAgICAg\
ImFsZ29yaXRobSI6ICJzaGEyNTYiLAogICAgICAgICJuYW1lIjogImEuYmluIgogICAgICB9CiAgICBdCiAgfQp9\",\"payloadTy\
pe\":\"application/vnd.in-toto+json\",\"signatures\":[{\"sig\":\"MEYCIQDU0dX3cVjIq8QwJtPP93CnKvj0JuieSyp9hnz\
720FwbQIhAJCFtGQX4Z0SJ1WsyC3JfCVViDHA+YPssaHgs8lnYLBE\",\"keyid\":\"\"}]}}";

/// Issued by `ROOT`.
pub(super) const SIGNER: &str = r"-----BEGIN CERTIFICATE-----
MIIBdDCCARugAwIBAgIUSYJUlWykhEJ3cQFD60j9SPiddn0wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEUm9vdDAeFw0yNjAxMDIwMDAwMDBaFw0yODA5MjcwMDAwMDBa
MBExDzANBgNVBAMMBlNpZ25lcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABPz4
Ai9LvXt7nB+FSdighXn4KDr4mp774UkfV7T3P8Rd6Yi3WQ3BksRaI6llxZBrdZ3d
oIvOTfwYweAeKPHES8WjUzBRMAwGA1UdEwEB/wQCMAAwDgYDVR0PAQH/BAQDAgeA
MDEGA1UdEQQqMCiCEnNpZ25lci5leGFtcGxlLm9yZ4ESc2lnbmVyQGV4YW1wbGUu
b3JnMAoGCCqGSM49BAMCA0cAMEQCIBxdP/kGyVpRvvDM4BJkzeVjWbY/d3ky2VDE
4G6FqvyyAiB37dU5GY6THTgbJIdniK3tbC7wosLu2GuBFWq1y4rBTA==
-----END CERTIFICATE-----
";

/// An authority.
pub(super) const ROOT: &str = r"-----BEGIN CERTIFICATE-----
MIIBQzCB6aADAgECAhRoi9xnwdDQmLB6pQ56f+k52sEKEzAKBggqhkjOPQQDAjAP
MQ0wCwYDVQQDDARSb290MB4XDTI2MDEwMTAwMDAwMFoXDTM0MDMyMDAwMDAwMFow
DzENMAsGA1UEAwwEUm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFVwJ2Qg
/ivU1bu7ObVmqfeNiz/ly/QJMTKCO4A3NFnTKAzvuyMFwlji5mKH71kRWOID5RHe
zaU72+V40+4KNUejIzAhMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgIE
MAoGCCqGSM49BAMCA0kAMEYCIQC8ZULtwMs9z9BHKcQ+0j8rERaqi/hYA2OrJOfn
AO1x7AIhAOIWJqwj1IFwWrjQcjrqtf7GnYWgZACvvDwa5lnJrM0c
-----END CERTIFICATE-----
";

/// Issued by `SIGNER`, which may not, for `BELOW_KEY`.
pub(super) const BELOW: &str = r"-----BEGIN CERTIFICATE-----
MIIBQjCB6aADAgECAhQIPzR/zgERa03TOONi8KGVvtOTRDAKBggqhkjOPQQDAjAR
MQ8wDQYDVQQDDAZTaWduZXIwHhcNMjYwMTAyMDAwMDAwWhcNMjgwOTI3MDAwMDAw
WjAQMQ4wDAYDVQQDDAVCZWxvdzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIfv
jT2hFEbGag1oF2fIPy489TXiBl1slJXD/+dD/FxR0lV5Ucr6wJPPqcQNrRk6FRX5
SC/YlIVyt6182LQtNa2jIDAeMAwGA1UdEwEB/wQCMAAwDgYDVR0PAQH/BAQDAgeA
MAoGCCqGSM49BAMCA0gAMEUCIQCF4E1TWRSpVv1znR0QO9LPSLmjkt9NZj+Y9RM7
t6OcJwIgUWG6MtB6rSevm2KmVo3MsLW+JnfVSeS9rzazbnMcyV8=
-----END CERTIFICATE-----
";

/// The key of `BELOW`.
pub(super) const BELOW_KEY: &str = r"-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgsdbd6NTiXRTHiAmi
2aK20VZxGaemg8SZpINYLqMEIBShRANCAASH7409oRRGxmoNaBdnyD8uPPU14gZd
bJSVw//nQ/xcUdJVeVHK+sCTz6nEDa0ZOhUV+Ugv2JSFcretfNi0LTWt
-----END PRIVATE KEY-----
";

/// Private keys and their public halves: SEC 1 after its parameters, as `openssl` writes it, and PKCS#8.
pub(super) const PRIVATE_KEYS: [(&str, &str); 3] = [
    (
        r"-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIBQLoei6702JA1M7a5g7KPTShTB4VCBcYJtSKAdRn+LJoAoGCCqGSM49
AwEHoUQDQgAE/PgCL0u9e3ucH4VJ2KCFefgoOvianvvhSR9XtPc/xF3piLdZDcGS
xFojqWXFkGt1nd2gi85N/BjB4B4o8cRLxQ==
-----END EC PRIVATE KEY-----
",
        r"-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/PgCL0u9e3ucH4VJ2KCFefgoOvia
nvvhSR9XtPc/xF3piLdZDcGSxFojqWXFkGt1nd2gi85N/BjB4B4o8cRLxQ==
-----END PUBLIC KEY-----
",
    ),
    (
        r"-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAr0Um2FpL0QWbYEyLE
WyCaqfcmblosiX61du5yvQ3ge2ScajVLcwopPpywUH65EBShZANiAATlHwlH5Nle
frbeQQSNu7HT+3dpF4mXpl5VMSbPfThT4Cxx+wicRszKi/PzDP/57MwF00rMBdbi
N6Wjv/KyVUivszYZ1W0LRcjZNxqkoPp3FsUKmRjdYqWQ4pTB3RZoe9Q=
-----END PRIVATE KEY-----
",
        r"-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE5R8JR+TZXn623kEEjbux0/t3aReJl6Ze
VTEmz304U+AscfsInEbMyovz8wz/+ezMBdNKzAXW4jelo7/yslVIr7M2GdVtC0XI
2TcapKD6dxbFCpkY3WKlkOKUwd0WaHvU
-----END PUBLIC KEY-----
",
    ),
    (
        r"-----BEGIN EC PRIVATE KEY-----
MIHcAgEBBEIAtEdg66+N2w7qqDcspJy+EX9gCKy0kI+yvbxJlbp8igLzp1LrDoGB
sO1U9mzO/V+IQ3gZeUs5DwqhnKjQZW83g+SgBwYFK4EEACOhgYkDgYYABAGx3VL9
tMLNUaQ4ZENwSy4nSeJyoPRIeFOYRABLRn3eGi4sGwjXROpMVwZzmiyGxOp3H7w3
5ieHU+hIgNhbWTp6+QEompP7uWEuegq6hrmqM+3PUDy0OB7SwdsWosiVW1Hy/OK4
YgQyrAVJRwnrVPZMKCB/H9ermEfE5DiqvcXaIkpgnA==
-----END EC PRIVATE KEY-----
",
        r"-----BEGIN PUBLIC KEY-----
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBsd1S/bTCzVGkOGRDcEsuJ0nicqD0
SHhTmEQAS0Z93houLBsI10TqTFcGc5oshsTqdx+8N+Ynh1PoSIDYW1k6evkBKJqT
+7lhLnoKuoa5qjPtz1A8tDge0sHbFqLIlVtR8vziuGIEMqwFSUcJ61T2TCggfx/X
q5hHxOQ4qr3F2iJKYJw=
-----END PUBLIC KEY-----
",
    ),
];

/// `text` signed by `openssl dgst` with the last private key, which is on P-521, after SHA-256, SHA-384 and SHA-512.
pub(super) const P521_SIGNATURES: [&str; 3] = [
    "\
MIGHAkIBQ0BqRjE+1tkvXpRDehZYsD16IQSvehOG/nuMAeewWeLp9u5iOPgdgQHL0F+Xh4ZSgCO8yFxCfgjIYVxNh5u7GAYCQU98\
eMDNjnYYf8Os1TNmCK75VOCy/H4vBrlYeb7BMTb8k4HbOOlxv/xksfXnlFTI0JhKwAox+BDvLi7ZRX82feLw",
    "\
MIGIAkIBqk8b+IEGVotIU5wKJgyzuPu9t5obuUXILNxpCpeXSL/SDzZkOHGDGVO9tf2JyI+A6K+gCzmzWo0x3iW0ksaWKIkCQgDl\
4lVtQjinNyTaTyWhcx/tTvrkkmBgpDVWYR5AeCloDoVAXS9/Je4w3s8wEsIyZNuYCEn6m2mjInJr/GvXb5xtMA==",
    "\
MIGIAkIAioUXQ4R4rX+kaW+7HVPsiSEnSbhfFXTg1C+0ShRndIgkiQyeWrtdpJ9bC4FwW0zupshAtCKZFh0l1pb4e9XT5CgCQgHW\
L8kAlWgfjWazwzgliFMl7VSW6Y2hYklzlXST8fIC5jZXuHiC1dA0cO1fm34bcNIO7GaF/0e+7pbKHn+m08Er9g==",
];

/// What is no usable private key, and how the refusal ends.
pub(super) const REFUSED_KEYS: [(&str, &str); 7] = [
    (
        r"-----BEGIN ENCRYPTED PRIVATE KEY-----
MIH0MF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBDQnHAokoxuPZUbxBw7
ls7YAgIIADAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQpFQsNRM9DvLQE/x1
85QbKASBkID9LiZiQZt0hIZUcdNN+rTvxxWt5fjTC7ccrB7bPSsMOTtMXUYiySNU
jUgXQuPTjdyNyj+HklrhTxsu1dFnhShiA1BpgfUzQIvJlsr7cksr26yH9qUAGdZg
v5Dv4E8RX6fQxih39HmV3VOE5hdc7wrXqUWXCwC6LG+vDRRtK3G2pasVXqYD8odl
cea+PBd41Q==
-----END ENCRYPTED PRIVATE KEY-----
",
        "it is encrypted",
    ),
    (
        r"-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,ECD0661EE3CC5A3656D2F3785A4AAB7A

so1/N135RBK/t6Ne1DY+OtpbIISTWVekKb52rFYYRoDMbD2Y5QEpwNJVy6owIQnj
CS2jRWk79lLAZozXKScZv3tf/fYaEQKIGY9qcc9rDedzqyD4c2del81PMKPR8Jtu
lyesGkX5aAmMEX1Z4mmlKM7dz2c/NtfhIkyhikWGtwQ=
-----END EC PRIVATE KEY-----
",
        "it is encrypted",
    ),
    (
        r"-----BEGIN EC PRIVATE KEY-----
MHQCAQEEICmjHE4ei5WibL68l5BVN2wGpkfqnctsQ2HxBpIHKhqBoAcGBSuBBAAK
oUQDQgAE+Gw0dVM/eETSsdaFufFAea28mzfQn2Zk7Wj00z8bl0PiEoayg6vB3qF2
sJnWzShZFIcMVH0AV4XmebqxSfbKEg==
-----END EC PRIVATE KEY-----
",
        "it is of another kind",
    ),
    (
        r"-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIOZmalJsRFyvGXpxi6Vee4HpaLppDffn93H2YQB5zS6i
-----END PRIVATE KEY-----
",
        "it is of another kind",
    ),
    (
        r"-----BEGIN EC PRIVATE KEY-----
MDECAQEEIBQLoei6702JA1M7a5g7KPTShTB4VCBcYJtSKAdRn+LJoAoGCCqGSM49
AwEH
-----END EC PRIVATE KEY-----
",
        "lacks its public half",
    ),
    (r"", "there is no private key in it"),
    (
        r"-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/PgCL0u9e3ucH4VJ2KCFefgoOvia
nvvhSR9XtPc/xF3piLdZDcGSxFojqWXFkGt1nd2gi85N/BjB4B4o8cRLxQ==
-----END PUBLIC KEY-----
",
        "there is no private key in it",
    ),
];
