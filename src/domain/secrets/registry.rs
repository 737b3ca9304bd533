//! Under which key of a `.dockerconfigjson` the kubelet finds the credentials of an image: its registry, but those of Docker Hub stand
//! under a name of their own.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::resolve::image::{HUB, ImageName};

const HUB_KEY: &str = "https://index.docker.io/v1/";

/// The keys for the credentials of each image. "Credentials are of a container": where two containers have credentials of their
/// own for one registry, the keys are those of the repositories, and the kubelet takes the longest that fits.
pub fn keys<C: Ord>(pulls: Vec<(&str, C)>) -> BTreeMap<C, BTreeSet<String>> {
    let parts = |name: ImageName<'_>| (name.registry().to_owned(), name.repository());
    let registries: Vec<(String, String)> = pulls.iter().map(|(image, _)| parts(ImageName::from(*image))).collect();
    let is_shared = |registry: &str, credentials: &C| {
        let mut others = registries.iter().zip(&pulls);
        others.any(|((other, _), (_, theirs))| *other == registry && theirs != credentials)
    };
    let key = |(registry, path): &(String, String), credentials: &C| match registry.as_str() {
        registry if is_shared(registry, credentials) => format!("{registry}/{path}"),
        HUB => HUB_KEY.to_owned(),
        registry => registry.to_owned(),
    };
    let keys: Vec<String> = registries.iter().zip(&pulls).map(|(at, (_, credentials))| key(at, credentials)).collect();
    let mut by_credentials: BTreeMap<C, BTreeSet<String>> = BTreeMap::new();
    for ((_, credentials), key) in pulls.into_iter().zip(keys) {
        by_credentials.entry(credentials).or_default().insert(key);
    }
    by_credentials
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_stands_in_front_of_the_first_slash() {
        for (image, expected) in [
            ("ubuntu", HUB_KEY),
            ("ubuntu:22.04", HUB_KEY),
            ("ubuntu@sha256:abc", HUB_KEY),
            ("org/image", HUB_KEY),
            ("org/image:1", HUB_KEY),
            ("docker.io/org/image:1", HUB_KEY),
            ("docker.io/ubuntu", HUB_KEY),
            ("index.docker.io/org/image", HUB_KEY),
            ("registry-1.docker.io/org/image", HUB_KEY),
            ("localhost/image", "localhost"),
            ("localhost:5000/image:1", "localhost:5000"),
            ("registry:5000/x", "registry:5000"),
            ("ghcr.io/org/image@sha256:abc", "ghcr.io"),
            ("ghcr.io/org/image:1@sha256:abc", "ghcr.io"),
            ("public.ecr.aws/a/b/c:1", "public.ecr.aws"),
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:1", "123456789012.dkr.ecr.eu-west-1.amazonaws.com"),
            ("registry.example.com:8443/web", "registry.example.com:8443"),
        ] {
            let keys = keys(vec![(image, ())]).remove(&()).unwrap();
            assert_eq!(keys.into_iter().collect::<Vec<_>>(), [expected], "{image}");
        }
    }

    #[test]
    fn credentials_for_one_registry_are_told_apart_by_repository() {
        let keys = |pulls: &[(&'static str, u8)]| {
            let keys = keys(pulls.to_vec()).into_iter();
            keys.map(|(of, keys)| (of, keys.into_iter().collect::<Vec<_>>().join(" "))).collect::<Vec<_>>()
        };
        let of = |one: &str, other: &str| vec![(1, one.to_owned()), (2, other.to_owned())];
        assert_eq!(keys(&[("ghcr.io/a/x:1", 1), ("quay.io/a/x:1", 2)]), of("ghcr.io", "quay.io"));
        assert_eq!(keys(&[("ghcr.io/a/x:1", 1), ("ghcr.io/b/x", 2)]), of("ghcr.io/a/x", "ghcr.io/b/x"));
        assert_eq!(keys(&[("a/x:1", 1), ("ubuntu", 2)]), of("docker.io/a/x", "docker.io/library/ubuntu"));
        assert_eq!(
            keys(&[("ghcr.io/a/x", 1), ("ghcr.io/b/x", 2), ("quay.io/a/x", 1)]),
            of("ghcr.io/a/x quay.io", "ghcr.io/b/x")
        );
        assert_eq!(keys(&[("ghcr.io/a/x", 1), ("ghcr.io/b/x", 1)]), [(1, "ghcr.io".to_owned())]);
    }
}
