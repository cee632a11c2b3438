{{/* What all pods share: rights, scratch space, where they run. */}}

{{/* Pod Security "restricted". Takes {root, uid?}; without a uid it is that of the project's images. */}}
{{- define "dfp.podSecurityContext" -}}
{{- $uid := .uid | default 10001 | int -}}
runAsNonRoot: true
runAsUser: {{ $uid }}
runAsGroup: {{ $uid }}
fsGroup: {{ $uid }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "dfp.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* What stands in a pod's spec before its containers. Takes {root, component, uid?, token?}.
     Service links are off: Kubernetes would make variables of Services, and DFP_API_PORT=tcp://… is none of ours. */}}
{{- define "dfp.podSpec" -}}
serviceAccountName: {{ include "dfp.fullname" .root }}-{{ .component }}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "dfp.podSecurityContext" . | nindent 2 }}
{{ include "dfp.placement" . | trim }}
{{- end -}}

{{/* Where pods run. Takes {root, component}. */}}
{{- define "dfp.placement" -}}
{{- $pods := .root.Values.pods -}}
{{- with $pods.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pods.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "dfp.selectorLabels" $ | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* Metadata of a pod: labels, and the checksum of what it reads, so that a change of it restarts the pod.
     Takes {root, component}. */}}
{{- define "dfp.podMetadata" -}}
labels:
  {{- include "dfp.podLabels" . | nindent 2 }}
annotations:
  checksum/environment: {{ include "dfp.settings" .root | sha256sum }}
  {{- if has .component (list "webserver" "daemon" "code-location" "metrics") }}
  checksum/instance: {{ include "dfp.dagsterInstance" .root | sha256sum }}
  {{- end }}
  {{- if has .component (list "code-location") }}
  checksum/spark-application: {{ include "dfp.sparkApplication" .root | sha256sum }}
  {{- end }}
  {{- with .root.Values.pods.annotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* An image of this project and what it may write: DFP_HOME and /tmp. Takes {root, image, resources}. */}}
{{- define "dfp.container" -}}
image: {{ include "dfp.image" (dict "root" .root "name" .image) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- include "dfp.containerSecurityContext" . | nindent 2 }}
resources:
  {{- toYaml .resources | nindent 2 }}
envFrom:
  - configMapRef:
      name: {{ include "dfp.fullname" .root }}-settings
{{- end -}}

{{- define "dfp.scratchMounts" -}}
- name: home
  mountPath: /var/lib/dfp
- name: tmp
  mountPath: /tmp
{{- end -}}

{{/* Takes {root, size?}: size of the home, where caches, spools and half-made files are. */}}
{{- define "dfp.scratchVolumes" -}}
- name: home
  emptyDir:
    sizeLimit: {{ .size | default .root.Values.pods.homeSize }}
- name: tmp
  emptyDir:
    sizeLimit: {{ .root.Values.pods.tmpSize }}
{{- end -}}

{{/* How a claim of a StatefulSet asks for its disk. Takes {root, storage}. */}}
{{- define "dfp.volumeClaim" -}}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata:
    name: data
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .storage.className }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ .storage.size }}
{{- end -}}
