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
    /// `kubelet`, the agent of a real node.
    Kubelet,
    /// `kube-proxy`, which leads the connections of Services to pods.
    KubeProxy,
    /// `containerd`, which pulls images and runs containers.
    Containerd,
    /// `containerd-shim-runc-v2`, the parent of the containers of a pod.
    ContainerdShim,
    /// `runc`, which makes a container.
    Runc,
    /// `bridge`, the CNI plugin that connects pods to their node.
    Bridge,
    /// `host-local`, the CNI plugin that gives pods their addresses.
    HostLocal,
    /// `loopback`, the CNI plugin that gives pods their 127.0.0.1.
    Loopback,
    /// `registry`, where images are pulled from.
    Registry,
    /// `crane`, which makes images and pushes them.
    Crane,
    /// `task`, what the containers of tests run.
    Task,
}

/// The Go module that a program is built from, with one set of versions for all of its programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Module {
    /// Kubernetes, etcd, kwok and helm.
    Kubernetes,
    /// containerd and what belongs to it. Its dependencies clash with those of Kubernetes.
    Containers,
}

impl Module {
    pub(crate) const ALL: [Self; 2] = [Self::Kubernetes, Self::Containers];

    /// Where the module lies in the folder `programs`.
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Kubernetes => "",
            Self::Containers => "containers",
        }
    }

    /// The files of the programs whose source is in the module itself.
    pub(crate) const fn own_source(self) -> &'static [&'static str] {
        match self {
            Self::Kubernetes => &[],
            Self::Containers => &["task/main.go"],
        }
    }
}

impl Program {
    /// What a cluster needs, the one that takes longest to build first.
    pub const CLUSTER: [Self; 7] = [
        Self::KubeApiserver,
        Self::KubeScheduler,
        Self::KubeControllerManager,
        Self::Etcd,
        Self::Helm,
        Self::Kubectl,
        Self::Kwok,
    ];

    /// What a real node needs beside it.
    pub const NODE: [Self; 11] = [
        Self::Containerd,
        Self::Registry,
        Self::Kubelet,
        Self::KubeProxy,
        Self::Crane,
        Self::Runc,
        Self::ContainerdShim,
        Self::Bridge,
        Self::HostLocal,
        Self::Loopback,
        Self::Task,
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
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
            Self::Containerd => "containerd",
            Self::ContainerdShim => "containerd-shim-runc-v2",
            Self::Runc => "runc",
            Self::Bridge => "bridge",
            Self::HostLocal => "host-local",
            Self::Loopback => "loopback",
            Self::Registry => "registry",
            Self::Crane => "crane",
            Self::Task => "task",
        }
    }

    /// The program of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|program| program.name() == name)
    }

    /// Every program.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::CLUSTER.into_iter().chain(Self::NODE)
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
            Self::Kubelet => "k8s.io/kubernetes/cmd/kubelet",
            Self::KubeProxy => "k8s.io/kubernetes/cmd/kube-proxy",
            Self::Containerd => "github.com/containerd/containerd/v2/cmd/containerd",
            Self::ContainerdShim => "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
            Self::Runc => "github.com/opencontainers/runc",
            Self::Bridge => "github.com/containernetworking/plugins/plugins/main/bridge",
            Self::HostLocal => "github.com/containernetworking/plugins/plugins/ipam/host-local",
            Self::Loopback => "github.com/containernetworking/plugins/plugins/main/loopback",
            Self::Registry => "github.com/distribution/distribution/v3/cmd/registry",
            Self::Crane => "github.com/google/go-containerregistry/cmd/crane",
            Self::Task => "./task",
        }
    }

    pub(crate) const fn module(self) -> Module {
        match self {
            Self::KubeApiserver
            | Self::KubeScheduler
            | Self::KubeControllerManager
            | Self::Etcd
            | Self::Helm
            | Self::Kubectl
            | Self::Kwok
            | Self::Kubelet
            | Self::KubeProxy => Module::Kubernetes,
            Self::Containerd
            | Self::ContainerdShim
            | Self::Runc
            | Self::Bridge
            | Self::HostLocal
            | Self::Loopback
            | Self::Registry
            | Self::Crane
            | Self::Task => Module::Containers,
        }
    }

    /// Whether C is part of it: what enters the namespaces of a container must run before Go does.
    pub(crate) const fn needs_cgo(self) -> bool {
        matches!(self, Self::Runc)
    }
}
