{{- define "loopwarden.name" -}}
{{- if contains "loopwarden" .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "loopwarden-%s" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "loopwarden.selector" -}}
app.kubernetes.io/name: loopwarden
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "loopwarden.labels" -}}
{{ include "loopwarden.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{/* Whether others than the pod itself may read. */}}
{{- define "loopwarden.open" -}}
{{- if or .Values.http.webConfigSecret .Values.http.allowUnauthenticated -}}yes{{- end -}}
{{- end -}}

{{- define "loopwarden.config" -}}
{{- $http := dict "address" "127.0.0.1" "port" (.Values.http.port | int) "page" .Values.http.page -}}
{{- if include "loopwarden.open" . -}}
{{- $_ := set $http "address" "0.0.0.0" -}}
{{- end -}}
{{- if .Values.http.webConfigSecret -}}
{{- $_ := set $http "web_config" "/etc/loopwarden-web/web.yml" -}}
{{- else if .Values.http.allowUnauthenticated -}}
{{- $_ := set $http "allow_unauthenticated" true -}}
{{- end -}}
{{- toYaml (merge (dict "http" $http) (deepCopy .Values.config)) -}}
{{- end -}}

{{/* What answers on the Unix socket lives. */}}
{{- define "loopwarden.probe" -}}
exec:
  command:
    - /usr/bin/node
    - -e
    - >-
      require('http').get({socketPath: '/run/loopwarden/api.sock', path: '/api/v1/status'},
      ({statusCode}) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))
timeoutSeconds: 5
{{- end -}}
