//! What containers may do.

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Capabilities, PodSecurityContext, SELinuxOptions, SeccompProfile, SecurityContext, Sysctl,
};

use crate::domain::resolve::task_definition::{ResolvedTaskDefinition, Security, SecurityOption, VolumeSource};

/// The group that a disk of a task's own belongs to.
const DISK_GROUP: i64 = 2000;

/// The security context of the pod. Docker confines containers by its own seccomp profile, Kubernetes only those that ask for it.
pub(super) fn pod(definition: &ResolvedTaskDefinition) -> PodSecurityContext {
    let mut context = definition.extension.security_context.clone();
    let profile = SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None };
    context.seccomp_profile.get_or_insert(profile);
    // A new disk is root's alone; ECS has a group for it, to which the user of every container belongs.
    if definition.volumes.iter().any(|volume| volume.source == VolumeSource::ConfiguredAtLaunch) {
        context.fs_group.get_or_insert(DISK_GROUP);
        context.fs_group_change_policy.get_or_insert_with(|| "OnRootMismatch".to_owned());
    }
    let given = context.sysctls.take().unwrap_or_default();
    let sysctls = definition.sysctls.iter().map(|(name, value)| Sysctl { name: name.clone(), value: value.clone() });
    let own = sysctls.filter(|sysctl| given.iter().all(|given| given.name != sysctl.name)).collect();
    context.sysctls = Some([given.clone(), own].concat()).filter(|sysctls| !sysctls.is_empty());
    context
}

/// The security context of a container.
pub(super) fn container(security: &Security) -> Option<SecurityContext> {
    let Security { user, privileged, readonly_root_filesystem, capabilities_added, capabilities_dropped, options } =
        security;
    let given = |names: &Vec<String>| Some(names.clone()).filter(|names| !names.is_empty());
    let capabilities = Capabilities { add: given(capabilities_added), drop: given(capabilities_dropped) };
    let mut context = SecurityContext {
        run_as_user: user.map(|(user, _)| user),
        run_as_group: user.and_then(|(_, group)| group),
        privileged: privileged.then_some(true),
        read_only_root_filesystem: readonly_root_filesystem.then_some(true),
        capabilities: Some(capabilities).filter(|capabilities| *capabilities != Capabilities::default()),
        ..SecurityContext::default()
    };
    for option in options {
        apply(option, &mut context);
    }
    Some(context).filter(|context| *context != SecurityContext::default())
}

fn apply(option: &SecurityOption, context: &mut SecurityContext) {
    let mut se_linux = |set: fn(&mut SELinuxOptions, String), value: &String| {
        set(context.se_linux_options.get_or_insert_default(), value.clone());
    };
    match option {
        SecurityOption::NoNewPrivileges => context.allow_privilege_escalation = Some(false),
        SecurityOption::AppArmor(profile) => {
            let (type_, localhost_profile) = match profile.as_str() {
                "unconfined" => ("Unconfined", None),
                "docker-default" => ("RuntimeDefault", None),
                profile => ("Localhost", Some(profile.to_owned())),
            };
            context.app_armor_profile = Some(AppArmorProfile { type_: type_.to_owned(), localhost_profile });
        }
        SecurityOption::SeLinuxUser(user) => se_linux(|options, user| options.user = Some(user), user),
        SecurityOption::SeLinuxRole(role) => se_linux(|options, role| options.role = Some(role), role),
        SecurityOption::SeLinuxType(type_) => se_linux(|options, type_| options.type_ = Some(type_), type_),
        SecurityOption::SeLinuxLevel(level) => se_linux(|options, level| options.level = Some(level), level),
    }
}
