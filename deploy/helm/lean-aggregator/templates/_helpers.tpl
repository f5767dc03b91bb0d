{{/* The release's name, short enough for the names that are made of it. */}}
{{- define "fleet.name" -}}
{{- if contains "lean-aggregator" .Release.Name -}}
{{- .Release.Name | trunc 30 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-lean-aggregator" (.Release.Name | trunc 14 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{/* Labels that select the pods of a part: (dict "root" $ "part" "door"), "pool" for lane hosts. */}}
{{- define "fleet.selector" -}}
app.kubernetes.io/name: lean-aggregator
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- with .pool }}
lean-aggregator/pool: {{ . }}
{{- end }}
{{- end -}}

{{/* The same labels in one line. */}}
{{- define "fleet.match" -}}
{{- include "fleet.selector" . | fromYaml | toJson -}}
{{- end -}}

{{- define "fleet.labels" -}}
{{ include "fleet.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "fleet.image" -}}
{{- $tag := .tag | default .default -}}
{{- if .digest -}}{{ printf "%s@%s" .repository .digest }}{{- else -}}{{ printf "%s:%s" .repository $tag }}{{- end -}}
{{- end -}}

{{/* The addresses of the engine's servers, as --engine takes them. */}}
{{- define "fleet.engineServers" -}}
{{- if .Values.engine.enabled -}}
{{- $name := include "fleet.name" . -}}
{{- $servers := list -}}
{{- range until (int .Values.engine.replicas) -}}
{{- $servers = append $servers (printf "tls://%s-engine-%d.%s-engine.%s.svc:4222" $name . $name $.Release.Namespace) -}}
{{- end -}}
{{- join "," $servers -}}
{{- else -}}
{{- join "," .Values.engine.external.servers -}}
{{- end -}}
{{- end -}}

{{/* Flags that doors and lane hosts have in common. */}}
{{- define "fleet.engineArgs" -}}
- --engine={{ include "fleet.engineServers" . }}
- --engine-cell={{ .Values.cell }}
- --engine-ca=/etc/lean-aggregator/engine/ca.crt
- --engine-certificate=/etc/lean-aggregator/engine/tls.crt
- --engine-key=/etc/lean-aggregator/engine/tls.key
- --probes=0.0.0.0:9191
- --runtime-dir=/run/lean-aggregator
- --state-dir=/var/lib/lean-aggregator
- --log-level={{ .Values.logLevel }}
{{- end -}}

{{/* What every pod of the fleet has: no root, no token, no privilege, no variables of Services. */}}
{{- define "fleet.podSpec" -}}
automountServiceAccountToken: false
enableServiceLinks: false
serviceAccountName: {{ include "fleet.name" .root }}
terminationGracePeriodSeconds: {{ .root.Values.timeouts.graceSeconds }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .of.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "fleet.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  privileged: false
  capabilities: { drop: [ALL] }
{{- end -}}

{{/* One pod of a part for each machine, and over zones where there are some: "when" as for `spread`. */}}
{{- define "fleet.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: {{ .when }}
    labelSelector: { matchLabels: {{ include "fleet.match" . }} }
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: { matchLabels: {{ include "fleet.match" . }} }
{{- end -}}

{{/* Probes of doors and lane hosts. A pod without a prover is not ready; only a deaf one is restarted. */}}
{{- define "fleet.probes" -}}
startupProbe:
  httpGet: { path: /livez, port: probes }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /livez, port: probes }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: { path: /readyz, port: probes }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end -}}

{{- define "fleet.podName" -}}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
{{- end -}}

{{/* The client certificate of the engine: the pod's own, and nobody else's. */}}
{{- define "fleet.engineMounts" -}}
{{- if .Values.certificates.issuer.name }}
- { name: engine-certificate, mountPath: /etc/lean-aggregator/engine, readOnly: true }
{{- else }}
- { name: engine-certificate, mountPath: /etc/lean-aggregator/engine/ca.crt, subPath: ca.crt, readOnly: true }
- { name: engine-certificate, mountPath: /etc/lean-aggregator/engine/tls.crt, subPathExpr: $(POD_NAME).crt, readOnly: true }
- { name: engine-certificate, mountPath: /etc/lean-aggregator/engine/tls.key, subPathExpr: $(POD_NAME).key, readOnly: true }
{{- end }}
- { name: run, mountPath: /run/lean-aggregator }
- { name: state, mountPath: /var/lib/lean-aggregator }
{{- end -}}

{{- define "fleet.engineVolumes" -}}
- name: engine-certificate
  {{- if .Values.certificates.issuer.name }}
  csi:
    driver: csi.cert-manager.io
    readOnly: true
    volumeAttributes:
      csi.cert-manager.io/issuer-name: {{ .Values.certificates.issuer.name }}
      csi.cert-manager.io/issuer-kind: {{ .Values.certificates.issuer.kind }}
      csi.cert-manager.io/dns-names: ${POD_NAME}
      csi.cert-manager.io/key-usages: client auth
      csi.cert-manager.io/fs-group: "1000"
  {{- else }}
  secret: { secretName: {{ .Values.certificates.secrets.engineClients }}, defaultMode: 0440 }
  {{- end }}
- name: run
  emptyDir: { sizeLimit: 16Mi }
- name: state
  emptyDir: { sizeLimit: 64Mi }
{{- end -}}
