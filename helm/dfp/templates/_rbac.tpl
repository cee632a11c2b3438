{{/* What a launcher of Jobs may do in its namespace: dagster-k8s creates, watches and deletes them and their pods. */}}
{{- define "dfp.jobRules" -}}
- apiGroups: [batch]
  resources: [jobs]
  verbs: [create, get, list, watch, delete]
- apiGroups: [batch]
  resources: [jobs/status]
  verbs: [get]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
- apiGroups: [""]
  resources: [pods/log, pods/status]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [list]
{{- end -}}
