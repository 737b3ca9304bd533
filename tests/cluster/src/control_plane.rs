//! The command lines of the control plane.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The loopback ports of one cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) etcd: u16,
    pub(crate) etcd_peer: u16,
    pub(crate) apiserver: u16,
    pub(crate) controller_manager: u16,
    pub(crate) scheduler: u16,
}

impl Ports {
    /// Ports that are free now. Another process may take one before it is used.
    pub(crate) fn free() -> std::io::Result<Self> {
        // All are held at once, so that no two are the same.
        let bind = || std::net::TcpListener::bind(("127.0.0.1", 0));
        let held = [bind()?, bind()?, bind()?, bind()?, bind()?];
        let [etcd, etcd_peer, apiserver, controller_manager, scheduler] =
            held.each_ref().map(std::net::TcpListener::local_addr);
        Ok(Self {
            etcd: etcd?.port(),
            etcd_peer: etcd_peer?.port(),
            apiserver: apiserver?.port(),
            controller_manager: controller_manager?.port(),
            scheduler: scheduler?.port(),
        })
    }

    pub(crate) fn url(self) -> String {
        format!("https://127.0.0.1:{}", self.apiserver)
    }
}

/// The files that the programs read.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) authority: PathBuf,
    pub(crate) server_certificate: PathBuf,
    pub(crate) server_key: PathBuf,
    /// With these the API server shows a kubelet who asks for logs and the like.
    pub(crate) kubelet_client_certificate: PathBuf,
    pub(crate) kubelet_client_key: PathBuf,
    pub(crate) token_private_key: PathBuf,
    pub(crate) token_public_key: PathBuf,
    pub(crate) audit_policy: PathBuf,
    pub(crate) audit_log: PathBuf,
    pub(crate) kwok_configuration: PathBuf,
    pub(crate) controller_manager: PathBuf,
    pub(crate) scheduler: PathBuf,
    pub(crate) kwok: PathBuf,
}

/// Every request but probes, once, when it is done. Reads as well: a test asserts on both.
pub(crate) const AUDIT_POLICY: &str = r#"{
  "apiVersion": "audit.k8s.io/v1",
  "kind": "Policy",
  "omitStages": ["RequestReceived", "ResponseStarted"],
  "rules": [
    { "level": "None", "nonResourceURLs": ["/readyz*", "/livez*", "/healthz*"] },
    { "level": "Metadata" }
  ]
}
"#;

/// kwok's configuration; what is left out of it is zero, which kwok refuses.
pub(crate) fn kwok_configuration(capped: bool) -> String {
    // 4 is kwok's default. At that rate 500 pods take longer to start than to be replaced.
    let pods = if capped { 4 } else { 32 };
    format!(
        r#"{{
  "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
  "kind": "KwokConfiguration",
  "options": {{
    "enableCRDs": ["Stage"],
    "manageNodesWithAnnotationSelector": "kwok.x-k8s.io/node=fake",
    "nodeIP": "10.1.0.1",
    "cidr": "10.128.0.1/9",
    "podPlayStageParallelism": {pods},
    "nodePlayStageParallelism": 4,
    "nodeLeaseParallelism": 4,
    "nodeLeaseDurationSeconds": 40,
    "podsOnNodeSyncParallelism": 1
  }}
}}
"#
    )
}

/// What etcd logs once it serves.
pub(crate) const ETCD_SERVES: &str = "ready to serve client requests";

pub(crate) fn etcd(ports: Ports, data: &Path) -> Vec<OsString> {
    let clients = format!("http://127.0.0.1:{}", ports.etcd);
    let peers = format!("http://127.0.0.1:{}", ports.etcd_peer);
    vec![
        flag("data-dir", data),
        flag("listen-client-urls", &clients),
        flag("advertise-client-urls", &clients),
        flag("listen-peer-urls", &peers),
        flag("initial-advertise-peer-urls", &peers),
        flag("initial-cluster", format!("default={peers}")),
        // Losing the data with the machine is no loss here, and each write costs less.
        "--unsafe-no-fsync".into(),
    ]
}

pub(crate) fn apiserver(ports: Ports, files: &Files) -> Vec<OsString> {
    vec![
        flag("etcd-servers", format!("http://127.0.0.1:{}", ports.etcd)),
        flag("bind-address", "127.0.0.1"),
        flag("advertise-address", "127.0.0.1"),
        flag("secure-port", ports.apiserver.to_string()),
        flag("tls-cert-file", &files.server_certificate),
        flag("tls-private-key-file", &files.server_key),
        flag("client-ca-file", &files.authority),
        flag("kubelet-client-certificate", &files.kubelet_client_certificate),
        flag("kubelet-client-key", &files.kubelet_client_key),
        flag("kubelet-preferred-address-types", "InternalIP"),
        flag("service-account-issuer", "https://kubernetes.default.svc"),
        flag("service-account-key-file", &files.token_public_key),
        flag("service-account-signing-key-file", &files.token_private_key),
        flag("service-cluster-ip-range", "10.0.0.0/24"),
        flag("authorization-mode", "Node,RBAC"),
        flag("allow-privileged", "true"),
        // Loopback is no valid endpoint of the `kubernetes` Service.
        flag("endpoint-reconciler-type", "none"),
        flag("audit-policy-file", &files.audit_policy),
        flag("audit-log-path", &files.audit_log),
        // Readers hold offsets into the log, so it must not rotate.
        flag("audit-log-maxsize", "100000"),
    ]
}

pub(crate) fn controller_manager(
    ports: Ports,
    files: &Files,
    capped: bool,
    controllers: Option<&str>,
) -> Vec<OsString> {
    let mut arguments = component(ports.controller_manager, files, &files.controller_manager, capped);
    arguments.extend([
        flag("use-service-account-credentials", "true"),
        flag("service-account-private-key-file", &files.token_private_key),
        flag("root-ca-file", &files.authority),
    ]);
    arguments.extend(controllers.map(|controllers| flag("controllers", controllers)));
    arguments
}

pub(crate) fn scheduler(ports: Ports, files: &Files, capped: bool) -> Vec<OsString> {
    component(ports.scheduler, files, &files.scheduler, capped)
}

pub(crate) fn kwok(files: &Files) -> Vec<OsString> {
    vec![flag("kubeconfig", &files.kwok), flag("config", &files.kwok_configuration)]
}

/// What kube-controller-manager and kube-scheduler have in common.
fn component(port: u16, files: &Files, kubeconfig: &Path, capped: bool) -> Vec<OsString> {
    let mut arguments = vec![
        flag("kubeconfig", kubeconfig),
        flag("authentication-kubeconfig", kubeconfig),
        flag("authorization-kubeconfig", kubeconfig),
        flag("bind-address", "127.0.0.1"),
        flag("secure-port", port.to_string()),
        flag("tls-cert-file", &files.server_certificate),
        flag("tls-private-key-file", &files.server_key),
        flag("leader-elect", "false"),
    ];
    if !capped {
        // At its default rate the controller manager alone needs 5 s to start its controllers,
        // and the scheduler 8 s to place 500 pods.
        arguments.extend([flag("kube-api-qps", "5000"), flag("kube-api-burst", "5000")]);
    }
    arguments
}

pub(crate) fn flag(name: &str, value: impl AsRef<std::ffi::OsStr>) -> OsString {
    let mut flag = OsString::from(format!("--{name}="));
    flag.push(value);
    flag
}
