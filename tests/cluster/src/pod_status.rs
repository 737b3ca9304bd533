//! What kwok writes into the status of a pod, as Go templates.
//!
//! The shape is that of kwok's own "fast" stages, except that readiness gates are honoured
//! as a kubelet does and not opened by themselves.

use std::time::Duration;

/// The jq expression of the time that [`started`] noted in the container ids.
///
/// The time has to be in the pod: kwok forgets how long it has waited whenever the pod
/// changes, and a controller may change its pods at any time. Times of the status proper
/// have whole seconds only.
pub(crate) const DUE: &str = r##".status.containerStatuses[0].containerID | split("#")[1]"##;

/// A jq expression that is `open` when all of the pod's readiness gates are, `closed` when
/// one is not, and nothing for a pod without gates.
pub(crate) const GATES: &str = r#"if (.spec.readinessGates // []) == [] then empty
elif ([.spec.readinessGates[].conditionType]
  - [.status.conditions[]? | select(.status == "True") | .type]) == [] then "open"
else "closed" end"#;

const HEAD: &str = r#"{{ $now := Now }}
{{ $root := . }}
{{ $open := true }}
{{ range $gate := .spec.readinessGates }}
{{ $met := false }}
{{ range $root.status.conditions }}
{{ if and (eq .type $gate.conditionType) (eq .status "True") }}{{ $met = true }}{{ end }}
{{ end }}
{{ if not $met }}{{ $open = false }}{{ end }}
{{ end }}
"#;

const ADDRESSES: &str = r#"
{{ with NodeIPsWith .spec.nodeName }}
hostIP: {{ index . 0 | Quote }}
hostIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
{{ with PodIPsWith .spec.nodeName ( or .spec.hostNetwork false ) ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) }}
podIP: {{ index . 0 | Quote }}
podIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
startTime: {{ $now | Quote }}
"#;

/// All containers run; `due` is how long from now the next stage takes effect.
pub(crate) fn started(ready: bool, due: Option<Duration>) -> String {
    let due = due.map_or_else(String::new, |due| {
        format!(
            r#"#{{{{ ((now | dateModify "+{}ms").UTC).Format "2006-01-02T15:04:05.000000000Z07:00" }}}}"#,
            due.as_millis()
        )
    });
    [
        HEAD,
        "conditions:\n",
        "- type: Initialized\n  status: \"True\"\n  lastTransitionTime: {{ $now | Quote }}\n",
        &conditions(ready),
        &format!(
            r#"
containerStatuses:
{{{{ range .spec.containers }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: ""
  containerID: "kwok://{{{{ $root.metadata.uid }}}}/{{{{ .name }}}}{due}"
  ready: {ready}
  started: true
  restartCount: 0
  state:
    running:
      startedAt: {{{{ $now | Quote }}}}
{{{{ end }}}}
"#
        ),
        r#"
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  containerID: "kwok://{{ $root.metadata.uid }}/{{ .name }}"
  ready: true
  restartCount: 0
  {{ if eq (or .restartPolicy "") "Always" }}
  started: true
  state:
    running:
      startedAt: {{ $now | Quote }}
  {{ else }}
  started: false
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ $now | Quote }}
      finishedAt: {{ $now | Quote }}
  {{ end }}
{{ end }}
"#,
        ADDRESSES,
        "phase: Running\n",
    ]
    .concat()
}

/// The containers of a running pod become ready, or stop being ready.
pub(crate) fn readiness(ready: bool) -> String {
    format!(
        r"{HEAD}
conditions:
{}
containerStatuses:
{{{{ range $index, $container := .spec.containers }}}}
{{{{ $was := index $root.status.containerStatuses $index }}}}
- name: {{{{ $was.name | Quote }}}}
  image: {{{{ $was.image | Quote }}}}
  imageID: {{{{ $was.imageID | Quote }}}}
  containerID: {{{{ $was.containerID | Quote }}}}
  ready: {ready}
  started: true
  restartCount: 0
  state:
    running:
      startedAt: {{{{ $was.state.running.startedAt | Quote }}}}
{{{{ end }}}}
",
        conditions(ready)
    )
}

/// All containers of a running pod end, the main ones with `exit_code`.
pub(crate) fn ended(exit_code: i32) -> String {
    let (phase, reason, condition) =
        if exit_code == 0 { ("Succeeded", "Completed", "PodCompleted") } else { ("Failed", "Error", "PodFailed") };
    format!(
        r#"{{{{ $now := Now }}}}
{{{{ $root := . }}}}
conditions:
- type: ContainersReady
  status: "False"
  reason: {condition}
  lastTransitionTime: {{{{ $now | Quote }}}}
- type: Ready
  status: "False"
  reason: {condition}
  lastTransitionTime: {{{{ $now | Quote }}}}
containerStatuses:
{{{{ range $index, $container := .spec.containers }}}}
{{{{ $was := index $root.status.containerStatuses $index }}}}
- name: {{{{ $was.name | Quote }}}}
  image: {{{{ $was.image | Quote }}}}
  imageID: {{{{ $was.imageID | Quote }}}}
  containerID: {{{{ $was.containerID | Quote }}}}
  ready: false
  started: false
  restartCount: 0
  state:
    terminated:
      containerID: {{{{ $was.containerID | Quote }}}}
      exitCode: {exit_code}
      reason: {reason}
      startedAt: {{{{ $was.state.running.startedAt | Quote }}}}
      finishedAt: {{{{ $now | Quote }}}}
{{{{ end }}}}
initContainerStatuses:
{{{{ range $index, $container := .spec.initContainers }}}}
{{{{ $was := index $root.status.initContainerStatuses $index }}}}
{{{{ if eq (or .restartPolicy "") "Always" }}}}
- name: {{{{ $was.name | Quote }}}}
  image: {{{{ $was.image | Quote }}}}
  imageID: {{{{ $was.imageID | Quote }}}}
  containerID: {{{{ $was.containerID | Quote }}}}
  ready: false
  started: false
  restartCount: 0
  state:
    terminated:
      containerID: {{{{ $was.containerID | Quote }}}}
      exitCode: 0
      reason: Completed
      startedAt: {{{{ $was.state.running.startedAt | Quote }}}}
      finishedAt: {{{{ $now | Quote }}}}
{{{{ else }}}}
-{{{{ YAML $was 1 }}}}
{{{{ end }}}}
{{{{ end }}}}
phase: {phase}
"#
    )
}

/// The images of all containers cannot be pulled.
pub(crate) fn image_pull_failure() -> String {
    [
        HEAD,
        "conditions:\n",
        "- type: Initialized\n  status: \"True\"\n  lastTransitionTime: {{ $now | Quote }}\n",
        &conditions(false),
        r#"
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: false
  started: false
  restartCount: 0
  state:
    waiting:
      reason: ImagePullBackOff
      message: 'Back-off pulling image {{ .image | Quote }}'
{{ end }}
"#,
        ADDRESSES,
        "phase: Pending\n",
    ]
    .concat()
}

/// The Ready condition follows the readiness gates while the containers are ready.
pub(crate) fn gates() -> String {
    format!("{HEAD}\nconditions:\n{READY_BY_GATES}")
}

const READY_BY_GATES: &str = r#"- type: Ready
  status: {{ if $open }}"True"{{ else }}"False"{{ end }}
  reason: {{ if $open }}""{{ else }}"ReadinessGatesNotReady"{{ end }}
  message: ""
  lastTransitionTime: {{ $now | Quote }}
"#;

fn conditions(ready: bool) -> String {
    if ready {
        return format!(
            r#"- type: ContainersReady
  status: "True"
  reason: ""
  message: ""
  lastTransitionTime: {{{{ $now | Quote }}}}
{READY_BY_GATES}"#
        );
    }
    ["ContainersReady", "Ready"]
        .map(|condition| {
            format!(
                r#"- type: {condition}
  status: "False"
  reason: ContainersNotReady
  message: 'containers with unready status: [{{{{ range $index, $container := .spec.containers }}}}{{{{ if $index }}}} {{{{ end }}}}{{{{ .name }}}}{{{{ end }}}}]'
  lastTransitionTime: {{{{ $now | Quote }}}}
"#
            )
        })
        .concat()
}
