//! The certificates of one cluster, all signed by its own authority.

use std::net::Ipv4Addr;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::Error;

/// A certificate and its key, both PEM.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The certificate authority of one cluster.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    pub(crate) fn new() -> Result<Self, Error> {
        let make = || {
            let mut parameters = parameters("longshore-test-cluster", None);
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            parameters.key_usages =
                vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
            let key = KeyPair::generate()?;
            let certificate = parameters.self_signed(&key)?.pem();
            Ok(Self { issuer: Issuer::new(parameters, key), certificate })
        };
        make().map_err(failed("the certificate authority"))
    }

    /// The authority's own certificate, PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate to serve HTTPS with, on loopback and under the API server's names.
    pub(crate) fn server(&self) -> Result<Identity, Error> {
        let make = || {
            let mut parameters = parameters("kube-apiserver", None);
            parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            parameters.subject_alt_names = vec![
                SanType::IpAddress(Ipv4Addr::LOCALHOST.into()),
                SanType::IpAddress(Ipv4Addr::new(10, 0, 0, 1).into()),
            ];
            for name in [
                "localhost",
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
            ] {
                let name = SanType::DnsName(name.try_into()?);
                parameters.subject_alt_names.push(name);
            }
            self.sign(parameters)
        };
        make().map_err(failed("kube-apiserver"))
    }

    /// A certificate that says who a client is: its user name and, if any, its group.
    pub(crate) fn client(&self, user: &str, group: Option<&str>) -> Result<Identity, Error> {
        let make = || {
            let mut parameters = parameters(user, group);
            parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            self.sign(parameters)
        };
        make().map_err(failed(user))
    }

    fn sign(&self, mut parameters: CertificateParams) -> Result<Identity, rcgen::Error> {
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        Ok(Identity { certificate: parameters.signed_by(&key, &self.issuer)?.pem(), key: key.serialize_pem() })
    }
}

/// The keys that sign and verify the tokens of ServiceAccounts, PEM.
#[derive(Debug)]
pub(crate) struct TokenKeys {
    pub(crate) private: String,
    pub(crate) public: String,
}

impl TokenKeys {
    pub(crate) fn new() -> Result<Self, Error> {
        let key = KeyPair::generate().map_err(failed("the tokens of ServiceAccounts"))?;
        Ok(Self { private: key.serialize_pem(), public: key.public_key_pem() })
    }
}

fn parameters(name: &str, organization: Option<&str>) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    if let Some(organization) = organization {
        parameters.distinguished_name.push(DnType::OrganizationName, organization);
    }
    parameters
}

fn failed(owner: &str) -> impl FnOnce(rcgen::Error) -> Error {
    let owner = owner.to_owned();
    |source| Error::Certificate { owner, source }
}
