//! Who a node is: its certificate, its key, and the authority of its cluster.
//!
//! A certificate carries two DNS names. `<cluster>.biotope` is verified by TLS at both ends, so a peer of another
//! cluster does not get a byte through even if one authority signed for both. `<node>.<cluster>.biotope` is read
//! afterwards and compared with the hello: when an address is dialled, the name of who answers is not known yet.
//!
//! There is no plaintext mode, no TLS below 1.3, no resumption and no 0-RTT: what arrives before the handshake is over could be
//! replayed by anybody.

mod authority;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

use crate::wire::handshake::{NameError, check_name};

pub use authority::{Authority, AuthorityError, AuthorityPem, IdentityPem};

/// The protocol's name in TLS. It changes when a hello could not even be exchanged any more.
const ALPN: &[u8] = b"biotope/1";

/// The name of one node, with what proves it to the others of its cluster.
///
/// Cloning is cheap. `Debug` shows the names and never the key.
#[derive(Clone)]
pub struct Identity {
    node: Arc<str>,
    cluster: Arc<str>,
    client: Arc<rustls::ClientConfig>,
    server: Arc<rustls::ServerConfig>,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file could not be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// One of the three is not PEM, or not of its kind.
    #[error("the {what} is not usable PEM: {source}")]
    Pem {
        /// The certificate chain, the key or the cluster's authority.
        what: &'static str,
        /// What is wrong with it.
        source: PemError,
    },
    /// There was no certificate in the text.
    #[error("the {what} holds no certificate")]
    NoCertificate {
        /// The certificate chain or the cluster's authority.
        what: &'static str,
    },
    /// The certificate does not say which node of which cluster it stands for.
    #[error("the certificate is not one of a biotope node: {0}")]
    Certificate(#[from] CertificateError),
    /// Certificate, key and authority do not belong together, or TLS cannot use them.
    #[error("TLS does not take certificate, key and authority together: {0}")]
    Tls(String),
}

/// Why a certificate does not name a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// It is not an X.509 certificate that can be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// The DNS name `<cluster>.biotope` is missing.
    #[error("it carries no DNS name of the form <cluster>.biotope")]
    NoCluster,
    /// It was made out for another cluster.
    #[error("it is made out for another cluster than \"{ours}\": it has no DNS name {ours}.biotope")]
    OtherCluster {
        /// The cluster that was expected.
        ours: Arc<str>,
    },
    /// The DNS name `<node>.<cluster>.biotope` is missing.
    #[error("it carries no DNS name of the form <node>.{cluster}.biotope")]
    NoNode {
        /// The cluster that it is made out for.
        cluster: Arc<str>,
    },
    /// More than one node or cluster is named, so it proves none of them.
    #[error("it names more than one node or cluster: \"{first}\" and \"{second}\"")]
    Ambiguous {
        /// One of the names.
        first: Arc<str>,
        /// Another one.
        second: Arc<str>,
    },
    /// A name is not one that a node can have.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Identity {
    /// Reads an identity from PEM text: the node's certificate (with intermediate ones, if any), its private key, and the
    /// certificate of the cluster's authority.
    ///
    /// # Errors
    /// [`IdentityError`] names the part that cannot be used.
    pub fn from_pem(
        cert_chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
        cluster_ca: impl AsRef<[u8]>,
    ) -> Result<Identity, IdentityError> {
        let chain = read_certificates("certificate chain", cert_chain.as_ref())?;
        let authorities = read_certificates("cluster's authority", cluster_ca.as_ref())?;
        let key =
            PrivateKeyDer::from_pem_slice(key.as_ref()).map_err(|source| IdentityError::Pem { what: "key", source })?;
        let (cluster, node) = names(&chain[0])?;

        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).map_err(tls)?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::ring::default_provider());

        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build().map_err(tls)?;
        let mut server = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(tls)?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.max_early_data_size = 0;
        server.send_tls13_tickets = 0;

        let mut client = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(tls)?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.enable_early_data = false;
        client.resumption = Resumption::disabled();

        Ok(Identity { node, cluster, client: Arc::new(client), server: Arc::new(server) })
    }

    /// Reads an identity from three PEM files; see [`Identity::from_pem`].
    ///
    /// # Errors
    /// [`IdentityError::File`] for a file that cannot be read; else as `from_pem`.
    pub fn from_files(
        cert_chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
        cluster_ca: impl AsRef<Path>,
    ) -> Result<Identity, IdentityError> {
        let read =
            |path: &Path| std::fs::read(path).map_err(|source| IdentityError::File { path: path.to_owned(), source });
        Identity::from_pem(read(cert_chain.as_ref())?, read(key.as_ref())?, read(cluster_ca.as_ref())?)
    }

    /// The node's name, from the certificate.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The cluster's name, from the certificate.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    pub(crate) fn shared_cluster(&self) -> Arc<str> {
        self.cluster.clone()
    }

    /// The name that TLS verifies when this node dials.
    pub(crate) fn server_name(&self) -> String {
        cluster_name(&self.cluster)
    }

    pub(crate) fn client(&self) -> Arc<rustls::ClientConfig> {
        self.client.clone()
    }

    pub(crate) fn server(&self) -> Arc<rustls::ServerConfig> {
        self.server.clone()
    }

    /// The node that a peer's certificate is made out to. TLS has judged who signed it; this judges for whom.
    pub(crate) fn peer_node(&self, chain: &[CertificateDer<'_>]) -> Result<Arc<str>, CertificateError> {
        let certificate = chain.first().ok_or_else(|| CertificateError::Unreadable("there is none".to_owned()))?;
        let (cluster, node) = names(certificate)?;
        if cluster != self.cluster {
            return Err(CertificateError::OtherCluster { ours: self.cluster.clone() });
        }
        Ok(node)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("node", &self.node).field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

fn cluster_name(cluster: &str) -> String {
    format!("{cluster}.biotope")
}

fn node_name(node: &str, cluster: &str) -> String {
    format!("{node}.{cluster}.biotope")
}

fn tls(error: impl fmt::Display) -> IdentityError {
    IdentityError::Tls(error.to_string())
}

fn read_certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| IdentityError::Pem { what, source })?;
    if certificates.is_empty() {
        return Err(IdentityError::NoCertificate { what });
    }
    Ok(certificates)
}

/// The cluster and the node that a certificate is made out to.
fn names(certificate: &CertificateDer<'_>) -> Result<(Arc<str>, Arc<str>), CertificateError> {
    let certificate = webpki::EndEntityCert::try_from(certificate)
        .map_err(|error| CertificateError::Unreadable(error.to_string()))?;
    pick_names(certificate.valid_dns_names())
}

fn pick_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(Arc<str>, Arc<str>), CertificateError> {
    let mut clusters: Vec<&str> = Vec::new();
    let mut nodes: Vec<(&str, &str)> = Vec::new();
    for labels in names.filter_map(|name| name.strip_suffix(".biotope")) {
        match labels.split_once('.') {
            None => clusters.push(labels),
            Some((node, cluster)) if !cluster.contains('.') => nodes.push((node, cluster)),
            Some(_) => {}
        }
    }
    clusters.dedup();
    let cluster = match clusters[..] {
        [] => return Err(CertificateError::NoCluster),
        [cluster] => cluster,
        [first, second, ..] => return Err(ambiguous(first, second)),
    };
    nodes.retain(|(_, of)| *of == cluster);
    nodes.dedup();
    let node = match nodes[..] {
        [] => {
            return Err(CertificateError::NoNode { cluster: cluster.into() });
        }
        [(node, _)] => node,
        [(first, _), (second, _), ..] => return Err(ambiguous(first, second)),
    };
    check_name(cluster)?;
    check_name(node)?;
    Ok((cluster.into(), node.into()))
}

fn ambiguous(first: &str, second: &str) -> CertificateError {
    CertificateError::Ambiguous { first: first.into(), second: second.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issued_identity_says_who_it_is() {
        let authority = Authority::new("shop").unwrap();
        let identity = authority.issue("till-1").unwrap().identity().unwrap();
        assert_eq!((identity.node(), identity.cluster()), ("till-1", "shop"));
    }

    #[test]
    fn debug_shows_no_key() {
        let authority = Authority::new("shop").unwrap();
        let identity = authority.issue("a").unwrap().identity().unwrap();
        assert_eq!(format!("{identity:?}"), r#"Identity { node: "a", cluster: "shop", .. }"#);
    }

    #[test]
    fn an_identity_goes_through_files() {
        let dir = tempfile::tempdir().unwrap();
        let pem = Authority::new("shop").unwrap().issue("a").unwrap();
        pem.write_to(dir.path()).unwrap();

        assert_eq!(IdentityPem::read_from(dir.path()).unwrap(), pem);
        let at = |name: &str| dir.path().join(name);
        let identity = Identity::from_files(at("node.pem"), at("node.key"), at("cluster.pem")).unwrap();
        assert_eq!(identity.node(), "a");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Identity::from_files("/no/such.pem", "/no/key", "/no/ca").unwrap_err();
        assert!(error.to_string().starts_with("/no/such.pem cannot be read"));
    }

    #[test]
    fn the_part_that_is_not_pem_is_named() {
        let pem = Authority::new("shop").unwrap().issue("a").unwrap();
        let error = Identity::from_pem(&pem.cert, "nonsense", &pem.ca).unwrap_err();
        assert!(error.to_string().contains("the key"), "{error}");
        let error = Identity::from_pem("nonsense", &pem.key, &pem.ca).unwrap_err();
        assert!(error.to_string().contains("certificate chain"), "{error}");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let authority = Authority::new("shop").unwrap();
        let (a, b) = (authority.issue("a").unwrap(), authority.issue("b").unwrap());
        assert!(matches!(Identity::from_pem(&a.cert, &b.key, &a.ca), Err(IdentityError::Tls(_))));
    }

    #[test]
    fn a_certificate_must_name_one_node_of_one_cluster() {
        let pick = |names: &[&'static str]| pick_names(names.iter().copied());
        assert_eq!(pick(&["shop.biotope", "a.shop.biotope", "example.com"]), Ok(("shop".into(), "a".into())));
        assert_eq!(pick(&["example.com"]), Err(CertificateError::NoCluster));
        assert!(matches!(
            pick(&["shop.biotope", "a.bank.biotope", "x.a.shop.biotope"]),
            Err(CertificateError::NoNode { .. })
        ));
        assert!(matches!(
            pick(&["shop.biotope", "a.shop.biotope", "b.shop.biotope"]),
            Err(CertificateError::Ambiguous { .. })
        ));
        assert!(matches!(
            pick(&["shop.biotope", "bank.biotope", "a.shop.biotope"]),
            Err(CertificateError::Ambiguous { .. })
        ));
    }

    #[test]
    fn a_peer_of_another_cluster_is_refused_even_under_one_authority() {
        let identity = |cluster| {
            let authority = Authority::new(cluster).unwrap();
            authority.issue("a").unwrap()
        };
        let ours = identity("shop").identity().unwrap();
        let theirs = read_certificates("peer", identity("bank").cert.as_bytes()).unwrap();
        assert!(matches!(ours.peer_node(&theirs), Err(CertificateError::OtherCluster { .. })));
        assert!(ours.peer_node(&[]).is_err());
    }
}
