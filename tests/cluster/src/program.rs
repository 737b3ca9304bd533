//! The programs a test cluster is made of.

/// A program of the test cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// `kube-apiserver`.
    KubeApiserver,
    /// `kube-scheduler`.
    KubeScheduler,
    /// `kube-controller-manager`.
    KubeControllerManager,
    /// `etcd`.
    Etcd,
    /// `helm`, for tests that install a chart.
    Helm,
    /// `kubectl`, for people and for tests that speak as people do.
    Kubectl,
    /// `kwok`, which plays the nodes and what runs on them.
    Kwok,
}

impl Program {
    /// Every program, the one that takes longest to build first.
    pub const ALL: [Self; 7] = [
        Self::KubeApiserver,
        Self::KubeScheduler,
        Self::KubeControllerManager,
        Self::Etcd,
        Self::Helm,
        Self::Kubectl,
        Self::Kwok,
    ];

    /// The name people know the program by, which is also its file name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeScheduler => "kube-scheduler",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::Etcd => "etcd",
            Self::Helm => "helm",
            Self::Kubectl => "kubectl",
            Self::Kwok => "kwok",
        }
    }

    /// The program of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|program| program.name() == name)
    }

    /// The Go package that holds the program's `main`.
    pub(crate) const fn package(self) -> &'static str {
        match self {
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::KubeScheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::Helm => "helm.sh/helm/v4/cmd/helm",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Kwok => "sigs.k8s.io/kwok/cmd/kwok",
        }
    }
}
