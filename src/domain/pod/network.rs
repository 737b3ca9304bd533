//! The network that the containers of a task share.

use k8s_openapi::api::core::v1::{HostAlias, PodDNSConfig, PodSpec};

use crate::domain::resolve::task_definition::{Hostname, Network};

/// Sets up the network of the pod.
pub(super) fn build(network: &Network, spec: &mut PodSpec) {
    let Network { host, hostname, host_aliases, dns_servers, dns_search_domains } = network;
    spec.host_network = host.then_some(true);
    match hostname {
        Some(Hostname::Label(name)) => spec.hostname = Some(name.clone()),
        Some(Hostname::Override(name)) => spec.hostname_override = Some(name.clone()),
        None => {}
    }
    let alias = |(ip, names): (&String, &Vec<String>)| HostAlias { ip: ip.clone(), hostnames: Some(names.clone()) };
    spec.host_aliases = given(host_aliases.iter().map(alias).collect());
    // Servers take the place of the cluster's. Without any, search domains come on top of the cluster's.
    spec.dns_policy = match (dns_servers.is_empty(), host) {
        (false, _) => Some("None".to_owned()),
        (true, true) => Some("ClusterFirstWithHostNet".to_owned()),
        (true, false) => None,
    };
    let config = PodDNSConfig {
        nameservers: given(dns_servers.clone()),
        searches: given(dns_search_domains.clone()),
        options: None,
    };
    spec.dns_config = Some(config).filter(|config| *config != PodDNSConfig::default());
}

fn given<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}
