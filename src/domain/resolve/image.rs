//! Names of images, in the grammar that container runtimes share: `registry/repository:tag@digest`.

/// What registries of Docker Hub are called.
pub const HUB: &str = "docker.io";
/// "The image name can be up to 255 characters", without its digest.
const LENGTH_MAX: usize = 255;
/// The longest tag.
const TAG_MAX: usize = 128;

/// The parts of an image's name. Those of a name that no runtime takes have a [fault](Self::fault).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageName<'a> {
    host: Option<&'a str>,
    path: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
    length: usize,
}

impl<'a> From<&'a str> for ImageName<'a> {
    /// A registry stands in front of the first slash, if what stands there has a dot, a port or an upper-case letter or is
    /// `localhost`; else the image is of Docker Hub.
    fn from(text: &'a str) -> Self {
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (text, None),
        };
        let is_host = |host: &str| {
            host.contains(['.', ':']) || host == "localhost" || host.contains(|c: char| c.is_ascii_uppercase())
        };
        let (host, rest) = match named.split_once('/') {
            Some((host, rest)) if is_host(host) => (Some(host), rest),
            Some(_) | None => (None, named),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        Self { host, path, tag, digest, length: named.chars().count() }
    }
}

impl<'a> ImageName<'a> {
    /// The registry; that of Docker Hub has several names, of which this gives one.
    pub fn registry(&self) -> &'a str {
        match self.host {
            None | Some("index.docker.io" | "registry-1.docker.io") => HUB,
            Some(host) => host,
        }
    }

    /// The path of the repository in its registry: `library/ubuntu` for `ubuntu`.
    pub fn repository(&self) -> String {
        let is_official = self.registry() == HUB && !self.path.contains('/');
        format!("{}{}", if is_official { "library/" } else { "" }, self.path)
    }

    /// Why no container runtime takes the name, if none does.
    pub fn fault(&self) -> Option<&'static str> {
        let Self { host, path, tag, digest, length } = self;
        if *length > LENGTH_MAX {
            Some("is longer than 255 characters")
        } else if host.is_some_and(|host| !is_host(host)) {
            Some("does not begin with the name of a registry and its port")
        } else if path.contains(|c: char| c.is_ascii_uppercase()) {
            Some("has upper-case letters in its repository")
        } else if !path.split('/').all(is_path_component) {
            Some("has a repository that is not of lower-case letters and digits with . _ - between them")
        } else if tag.is_some_and(|tag| !is_tag(tag)) {
            Some("has after : no tag, which is up to 128 letters, digits and . _ -, and begins with none of . -")
        } else if digest.is_some_and(|digest| !is_digest(digest)) {
            Some("has after @ no digest, which is sha256: and 64 hexadecimal digits")
        } else {
            None
        }
    }
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        Some(_) | None => (text, None),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_address = |address: &str| address.parse::<std::net::Ipv6Addr>().is_ok();
    address.map_or_else(|| name.split('.').all(is_label), is_address)
        && port.is_none_or(|port| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit()))
}

/// Runs of lower-case letters and digits, between which there is one dot, one or two underscores, or hyphens.
fn is_path_component(text: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator = |between: &str| matches!(between, "" | "." | "_" | "__") || between.chars().all(|c| c == '-');
    text.starts_with(is_alphanumeric)
        && text.ends_with(is_alphanumeric)
        && text.split(is_alphanumeric).all(is_separator)
}

fn is_tag(text: &str) -> bool {
    text.len() <= TAG_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// "Only sha256 digests": the one kind that ECS takes, and the one that registries have.
fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:");
    digits.is_some_and(|digits| digits.len() == 64 && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_has_a_registry_and_a_repository() {
        for (image, registry, repository) in [
            ("ubuntu", HUB, "library/ubuntu"),
            ("ubuntu:22.04", HUB, "library/ubuntu"),
            ("ubuntu@sha256:abc", HUB, "library/ubuntu"),
            ("org/image:1", HUB, "org/image"),
            ("docker.io/ubuntu", HUB, "library/ubuntu"),
            ("index.docker.io/org/image", HUB, "org/image"),
            ("registry-1.docker.io/org/image", HUB, "org/image"),
            ("localhost/image", "localhost", "image"),
            ("registry:5000/x", "registry:5000", "x"),
            ("ghcr.io/org/image:1@sha256:abc", "ghcr.io", "org/image"),
            ("Registry/image", "Registry", "image"),
        ] {
            let name = ImageName::from(image);
            assert_eq!((name.registry(), name.repository().as_str()), (registry, repository), "{image}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*|[a-z./:@#A-Z0-9\\[\\]]{0,20}") {
            let name = ImageName::from(text.as_str());
            let _ = (name.registry(), name.repository(), name.fault());
        }

        #[test]
        fn a_name_is_read_as_it_is_written(
            host in "[a-z]{1,5}\\.[a-z]{2}(:[0-9]{1,4})?|localhost",
            path in "[a-z0-9]{1,5}(/[a-z0-9]{1,5}){0,2}",
            tag in "(:[a-zA-Z0-9_][a-zA-Z0-9._-]{0,5})?",
            digest in "(@sha256:[0-9a-f]{64})?",
        ) {
            let text = format!("{host}/{path}{tag}{digest}");
            let name = ImageName::from(text.as_str());
            prop_assert_eq!((name.registry(), name.repository(), name.fault()), (host.as_str(), path, None));
        }
    }

    #[test]
    fn a_name_that_no_runtime_takes_has_a_fault() {
        let digest = format!("web@sha256:{}", "0a".repeat(32));
        let (long, longer) = ("a".repeat(255), "a".repeat(256));
        let (tag, long_tag) = (format!("web:{}", "1".repeat(128)), format!("web:{}", "1".repeat(129)));
        for (image, part) in [
            ("ubuntu", None),
            ("public.ecr.aws/a/b__c/d.e--f:v1.0_x-Y", None),
            ("Registry-1.Example.com:8443/web", None),
            ("[2001:db8::1]:5000/web", None),
            ("[2001:db8::1]/web", None),
            (&digest, None),
            (&long, None),
            (&tag, None),
            ("", Some("has a repository")),
            (" ubuntu", Some("has a repository")),
            ("my app:1", Some("has a repository")),
            ("web: 1", Some("no tag")),
            ("web:", Some("no tag")),
            ("web:-1", Some("no tag")),
            ("web:1#2", Some("no tag")),
            (&long_tag, Some("no tag")),
            ("web:a:b", Some("has a repository")),
            ("Ubuntu", Some("upper-case")),
            ("ghcr.io/Org/web", Some("upper-case")),
            ("ghcr.io//web", Some("has a repository")),
            ("ghcr.io/", Some("has a repository")),
            ("web_-x", Some("has a repository")),
            ("web-", Some("has a repository")),
            ("https://ghcr.io/org/web", Some("registry")),
            ("reg_istry.example.com/web", Some("registry")),
            ("registry:port/web", Some("registry")),
            ("[2001:db8]/web", Some("registry")),
            ("web@sha256:abc", Some("no digest")),
            ("web@", Some("no digest")),
            ("<repository_uri>", Some("has a repository")),
            (&longer, Some("255")),
        ] {
            let fault = ImageName::from(image).fault();
            assert_eq!(fault.is_some(), part.is_some(), "{image}: {fault:?}");
            assert!(fault.unwrap_or_default().contains(part.unwrap_or_default()), "{image}: {fault:?}");
        }
    }
}
