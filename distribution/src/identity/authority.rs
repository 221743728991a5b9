//! An authority made on the fly, for tests, examples and first steps.

use std::fs;
use std::io;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use super::{Identity, IdentityError, cluster_name, node_name, read_certificates};
use crate::wire::handshake::{NameError, check_name};

/// The authority of one cluster: it makes the certificates by which nodes know each other.
///
/// Whoever holds it can let anybody into the cluster. It is meant for tests, examples and small clusters whose
/// certificates never expire; a cluster that lives longer than its operators' memory should get its
/// certificates from the authority that its company has, with the DNS names that [`Identity`] expects.
///
/// ```
/// use biotope_distribution::Authority;
///
/// let authority = Authority::new("shop")?;
/// let identity = authority.issue("till-1")?.identity()?;
/// assert_eq!(identity.node(), "till-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Authority {
    cluster: String,
    cert: String,
    issuer: Issuer<'static, KeyPair>,
}

/// Why an authority could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The name of the cluster or the node cannot stand in a certificate.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Making a key or a certificate failed.
    #[error("the certificate could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The text is not an authority that [`Authority::to_pem`] has written.
    #[error("this is not an authority of a cluster: {0}")]
    NotAnAuthority(String),
}

/// An authority as PEM text. The key in it opens the cluster to whoever reads it.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorityPem {
    /// The certificate, which all nodes of the cluster have too.
    pub cert: String,
    /// The private key.
    pub key: String,
}

/// An identity as PEM text, as it goes to a node.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityPem {
    /// The node's certificate.
    pub cert: String,
    /// The node's private key.
    pub key: String,
    /// The certificate of the cluster's authority.
    pub ca: String,
}

impl Authority {
    /// Makes the authority of a new cluster.
    ///
    /// # Errors
    /// [`AuthorityError::Name`] if `cluster` is not made of lower case letters, digits and hyphens.
    pub fn new(cluster: &str) -> Result<Authority, AuthorityError> {
        check_name(cluster)?;
        let key = KeyPair::generate()?;
        let params = authority_params(cluster)?;
        let cert = params.self_signed(&key)?.pem();
        Ok(Authority { cluster: cluster.to_owned(), cert, issuer: Issuer::new(params, key) })
    }

    /// Brings an authority back from its text.
    ///
    /// # Errors
    /// [`AuthorityError::NotAnAuthority`] if the text is not what [`Authority::to_pem`] gave.
    pub fn from_pem(pem: &AuthorityPem) -> Result<Authority, AuthorityError> {
        let not = |error: &dyn std::fmt::Display| AuthorityError::NotAnAuthority(error.to_string());
        let key = KeyPair::from_pem(&pem.key).map_err(|error| not(&error))?;
        let certificates = read_certificates("authority", pem.cert.as_bytes()).map_err(|error| not(&error))?;
        let certificate = webpki::EndEntityCert::try_from(&certificates[0]).map_err(|error| not(&error))?;
        // The authority names its cluster as its nodes do, so that the text alone is enough.
        let cluster = certificate
            .valid_dns_names()
            .find_map(|name| name.strip_suffix(".biotope"))
            .ok_or_else(|| not(&"its certificate names no cluster"))?
            .to_owned();
        check_name(&cluster)?;
        let params = authority_params(&cluster)?;
        Ok(Authority { cluster, cert: pem.cert.clone(), issuer: Issuer::new(params, key) })
    }

    /// The authority as text, to issue further identities elsewhere or later.
    pub fn to_pem(&self) -> AuthorityPem {
        AuthorityPem { cert: self.cert.clone(), key: self.issuer.key().serialize_pem() }
    }

    /// Makes a key and a certificate for `node`.
    ///
    /// # Errors
    /// [`AuthorityError::Name`] if `node` is not made of lower case letters, digits and hyphens.
    pub fn issue(&self, node: &str) -> Result<IdentityPem, AuthorityError> {
        check_name(node)?;
        let names = vec![cluster_name(&self.cluster), node_name(node, &self.cluster)];
        self.sign(&format!("{node} of {}", self.cluster), names)
    }

    /// The name of the cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }
}

impl Authority {
    /// Makes a certificate for any names, which `issue` would not do.
    pub(crate) fn sign(&self, common_name: &str, dns_names: Vec<String>) -> Result<IdentityPem, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(dns_names)?;
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Every node dials and is dialled.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let cert = params.signed_by(&key, &self.issuer)?;
        Ok(IdentityPem { cert: cert.pem(), key: key.serialize_pem(), ca: self.cert.clone() })
    }
}

impl AuthorityPem {
    /// Writes `authority.pem` and `authority.key` into the folder `dir`; the key for its owner only.
    ///
    /// # Errors
    /// What the operating system says. An earlier file of the name is replaced.
    pub fn write_to(&self, dir: impl AsRef<Path>) -> io::Result<()> {
        let dir = dir.as_ref();
        fs::write(dir.join("authority.pem"), &self.cert)?;
        write_secret(&dir.join("authority.key"), &self.key)
    }

    /// Reads what [`AuthorityPem::write_to`] has written.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn read_from(dir: impl AsRef<Path>) -> io::Result<AuthorityPem> {
        let dir = dir.as_ref();
        Ok(AuthorityPem {
            cert: fs::read_to_string(dir.join("authority.pem"))?,
            key: fs::read_to_string(dir.join("authority.key"))?,
        })
    }
}

impl IdentityPem {
    /// The identity that this text describes.
    ///
    /// # Errors
    /// As [`Identity::from_pem`].
    pub fn identity(&self) -> Result<Identity, IdentityError> {
        Identity::from_pem(&self.cert, &self.key, &self.ca)
    }

    /// Writes `node.pem`, `node.key` and `cluster.pem` into the folder `dir`; the key for its owner only.
    ///
    /// # Errors
    /// What the operating system says. An earlier file of the name is replaced.
    pub fn write_to(&self, dir: impl AsRef<Path>) -> io::Result<()> {
        let dir = dir.as_ref();
        fs::write(dir.join("node.pem"), &self.cert)?;
        fs::write(dir.join("cluster.pem"), &self.ca)?;
        write_secret(&dir.join("node.key"), &self.key)
    }

    /// Reads what [`IdentityPem::write_to`] has written.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn read_from(dir: impl AsRef<Path>) -> io::Result<IdentityPem> {
        let dir = dir.as_ref();
        Ok(IdentityPem {
            cert: fs::read_to_string(dir.join("node.pem"))?,
            key: fs::read_to_string(dir.join("node.key"))?,
            ca: fs::read_to_string(dir.join("cluster.pem"))?,
        })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

// These two hold a private key, which has no business in a log or in a failed assertion.
impl std::fmt::Debug for AuthorityPem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthorityPem").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for IdentityPem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentityPem").finish_non_exhaustive()
    }
}

fn authority_params(cluster: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(vec![cluster_name(cluster)])?;
    params.distinguished_name.push(DnType::CommonName, format!("authority of {cluster}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;

    // A file that is already there would keep its old permissions.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_comes_back_from_its_text_and_its_identities_still_fit() {
        let dir = tempfile::tempdir().unwrap();
        let first = Authority::new("shop").unwrap();
        first.to_pem().write_to(dir.path()).unwrap();

        let again = Authority::from_pem(&AuthorityPem::read_from(dir.path()).unwrap()).unwrap();

        assert_eq!(again.cluster(), "shop");
        let (old, new) = (first.issue("a").unwrap(), again.issue("b").unwrap());
        assert_eq!(old.ca, new.ca);
        assert!(new.identity().is_ok());
    }

    #[test]
    fn text_of_a_node_is_no_authority_of_its_own_name() {
        let node = Authority::new("shop").unwrap().issue("a").unwrap();
        let pem = AuthorityPem { cert: "nonsense".to_owned(), key: node.key };
        assert!(matches!(Authority::from_pem(&pem), Err(AuthorityError::NotAnAuthority(_))));
    }

    #[test]
    fn names_that_a_certificate_would_not_carry_are_refused() {
        assert!(matches!(Authority::new("My Shop"), Err(AuthorityError::Name(_))));
        let authority = Authority::new("shop").unwrap();
        assert!(matches!(authority.issue("a.b"), Err(AuthorityError::Name(_))));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_is_written_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("node.key"), "an older one, readable by all").unwrap();
        let pem = Authority::new("shop").unwrap().issue("a").unwrap();
        pem.write_to(dir.path()).unwrap();
        let mode = fs::metadata(dir.path().join("node.key")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
}
