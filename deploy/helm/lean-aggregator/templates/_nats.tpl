{{/* The configuration of each server. */}}
{{- define "fleet.natsConfig" -}}
{{- $name := include "fleet.name" . -}}
server_name: $POD_NAME
port: 4222
http_port: 8222
pid_file: /run/nats/nats.pid
# A client that is gone without a word is noticed after two pings.
ping_interval: "2s"
ping_max: 2
# Inputs and proofs travel in chunks of 512 KB.
max_payload: 1MB
max_pending: 256MB
# A server that is asked to end: its clients go elsewhere within 30 s, a few at a time.
lame_duck_grace_period: "2s"
lame_duck_duration: "30s"
tls {
  cert_file: /etc/nats/tls/tls.crt
  key_file: /etc/nats/tls/tls.key
  ca_file: /etc/nats/tls/ca.crt
  verify_and_map: true
  timeout: 2
}
cluster {
  name: {{ $name }}
  port: 6222
  # Clients have all names; addresses of pods would not match a certificate.
  no_advertise: true
  routes: [
    {{- range until (int .Values.engine.replicas) }}
    "tls://{{ $name }}-engine-{{ . }}.{{ $name }}-engine.{{ $.Release.Namespace }}.svc:6222"
    {{- end }}
  ]
  tls {
    cert_file: /etc/nats/tls/tls.crt
    key_file: /etc/nats/tls/tls.key
    ca_file: /etc/nats/tls/ca.crt
    verify: true
    timeout: 2
  }
}
include "permissions.conf"
{{- end -}}

{{/*
Each door and lane host is a user, known by the DNS name in its certificate. It publishes as itself
only, for the last token of a subject names the sender; it hears what is meant for it. The subjects are
those of server/fleet/wire/subjects.ts.
*/}}
{{- define "fleet.natsPermissions" -}}
{{- $name := include "fleet.name" . -}}
{{- $cell := .Values.cell -}}
authorization {
  users: [
    {{- range until (int .Values.doors.replicas) }}
    {{ include "fleet.doorUser" (dict "user" (printf "%s-door-%d" $name .) "cell" $cell) | nindent 4 | trim }}
    {{- end }}
    {{- range $pool, $own := .Values.pools }}
    {{- $of := mergeOverwrite (deepCopy $.Values.poolDefaults) $own }}
    {{- range until (int (max $of.replicas $of.replicasMax)) }}
    {{ include "fleet.hostUser" (dict "user" (printf "%s-%s-%d" $name $pool .) "cell" $cell) | nindent 4 | trim }}
    {{- end }}
    {{- end }}
  ]
}
{{- end -}}

{{- define "fleet.doorUser" -}}
{ user: "{{ .user }}", permissions: {
  publish: ["lean.{{ .cell }}.host.*.{{ .user }}"]
  subscribe: ["lean.{{ .cell }}.hosts.*", "lean.{{ .cell }}.door.{{ .user }}.*", "lean.{{ .cell }}.inbox.door.{{ .user }}.>"]
  allow_responses: { max: 1, expires: "1m" }
} }
{{- end -}}

{{- define "fleet.hostUser" -}}
{ user: "{{ .user }}", permissions: {
  publish: ["lean.{{ .cell }}.hosts.{{ .user }}", "lean.{{ .cell }}.door.*.{{ .user }}"]
  subscribe: ["lean.{{ .cell }}.host.{{ .user }}.*", "lean.{{ .cell }}.inbox.host.{{ .user }}.>"]
  allow_responses: { max: 1, expires: "1m" }
} }
{{- end -}}
