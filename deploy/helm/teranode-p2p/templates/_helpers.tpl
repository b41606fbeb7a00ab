{{- define "peer.selector" -}}
app: {{ .Values.name }}
teranode.bsvblockchain.org/part-of: "true"
{{- end }}

{{- define "peer.labels" -}}
{{ include "peer.selector" . }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "peer.claim" -}}
{{ .Values.persistence.existingClaim | default (printf "%s-data" .Values.name) }}
{{- end }}
