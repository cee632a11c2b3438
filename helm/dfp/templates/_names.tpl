{{/* Names, labels and images. */}}

{{- define "dfp.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "dfp.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "dfp.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "dfp.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What a selector asks for; it never changes in the life of a release. Takes {root, component}. */}}
{{- define "dfp.selectorLabels" -}}
app.kubernetes.io/name: {{ include "dfp.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of an object. Takes {root, component}. */}}
{{- define "dfp.labels" -}}
{{ include "dfp.selectorLabels" . }}
app.kubernetes.io/part-of: dfp
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Labels of a pod: what is selected, and what the values add. Takes {root, component}. */}}
{{- define "dfp.podLabels" -}}
{{ include "dfp.selectorLabels" . }}
app.kubernetes.io/part-of: dfp
{{- with .root.Values.pods.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An image of this project. Takes {root, name}. */}}
{{- define "dfp.image" -}}
{{- $image := .root.Values.image -}}
{{- $registry := ternary "" (printf "%s/" (trimSuffix "/" $image.registry)) (empty $image.registry) -}}
{{- $digest := get $image.digests .name -}}
{{- if $digest -}}
{{- printf "%s%s@%s" $registry .name $digest -}}
{{- else -}}
{{- printf "%s%s:%s" $registry .name ($image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
