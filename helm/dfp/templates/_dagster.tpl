{{/* Dagster's instance, which webserver, daemon, code location and runs share. */}}

{{/* Where pods of Dagster find dagster.yaml, workspace.yaml and the template of Spark applications. Takes root. */}}
{{- define "dfp.dagsterMounts" -}}
{{ include "dfp.scratchMounts" . }}
- name: dfp
  mountPath: /etc/dfp
  readOnly: true
{{- end -}}

{{/* Takes {root, size?}. */}}
{{- define "dfp.dagsterVolumes" -}}
{{- $name := include "dfp.fullname" .root -}}
{{ include "dfp.scratchVolumes" . }}
- name: dfp
  projected:
    sources:
      - configMap:
          name: {{ $name }}-instance
      {{- if .root.Values.sparkApplications.enabled }}
      - configMap:
          name: {{ $name }}-spark-application
      {{- end }}
{{- end -}}

{{/* dagster.yaml. */}}
{{- define "dfp.dagsterInstance" -}}
storage:
  postgres:
    postgres_db:
      hostname: {env: DAGSTER_PG_HOST}
      port: {env: DAGSTER_PG_PORT}
      db_name: {env: DAGSTER_PG_DB}
      username: {env: DAGSTER_PG_USERNAME}
      password: {env: DAGSTER_PG_PASSWORD}
      params: {sslmode: {{ include "dfp.postgresSslMode" . }}}

compute_logs:
  module: dagster_aws.s3.compute_log_manager
  class: S3ComputeLogManager
  config:
    bucket: {{ .Values.s3.buckets.logs }}
    prefix: dagster
    local_dir: /tmp/compute-logs
    skip_empty_files: true
    region: {{ .Values.s3.region }}
    {{- with include "dfp.s3Endpoint" . }}
    endpoint_url: {{ . }}
    {{- end }}

local_artifact_storage:
  module: dagster._core.storage.root
  class: LocalArtifactStorage
  config:
    base_dir: /var/lib/dfp/dagster

telemetry:
  enabled: false

nux:
  enabled: false

# A run whose pod is gone is failed, not shown as running for ever.
run_monitoring:
  enabled: true
  start_timeout_seconds: {{ .Values.runs.startTimeoutSeconds }}
  cancel_timeout_seconds: 180
  max_resume_run_attempts: 0
  poll_interval_seconds: 60

# A run whose worker died is started again, from what failed; one that failed by itself is not (steps have their retries).
run_retries:
  enabled: true
  max_retries: {{ .Values.runs.retries }}
  retry_on_asset_or_op_failure: false

# As in the root's dagster.yaml.
concurrency:
  runs:
    max_concurrent_runs: {{ .Values.runs.maxConcurrent }}
    tag_concurrency_limits:
      - key: lake/writes-models
        limit: 1
        value: {applyLimitPerUniqueValue: true}
      - key: lake/writes-tables
        limit: 1
        value: {applyLimitPerUniqueValue: true}

run_launcher:
  module: dagster_k8s
  class: K8sRunLauncher
  config:
    {{- include "dfp.runLauncher" . | nindent 4 }}
{{- end -}}

{{/* How the pods of runs, and those of their steps, are made. */}}
{{- define "dfp.runLauncher" -}}
{{- $name := include "dfp.fullname" . -}}
{{- $place := dict "root" . "component" "runs" -}}
job_namespace: {{ .Release.Namespace }}
job_image: {{ include "dfp.image" (dict "root" . "name" "dfp-dagster") }}
image_pull_policy: {{ .Values.image.pullPolicy }}
{{- with .Values.image.pullSecrets }}
image_pull_secrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
service_account_name: {{ $name }}-runs
instance_config_map: {{ $name }}-instance
dagster_home: /etc/dfp
env_config_maps: [{{ $name }}-settings]
fail_pod_on_run_failure: true
labels:
  {{- include "dfp.podLabels" $place | nindent 2 }}
resources:
  {{- toYaml .Values.runs.resources | nindent 2 }}
security_context:
  {{- include "dfp.containerSecurityContext" . | nindent 2 }}
volumes:
  {{- include "dfp.dagsterVolumes" (dict "root" . "size" .Values.runs.homeSize) | nindent 2 }}
volume_mounts:
  {{- include "dfp.dagsterMounts" . | nindent 2 }}
run_k8s_config:
  container_config:
    env:
      # An application that a run submits goes with the run's pod.
      - name: DFP_POD_NAME
        valueFrom:
          fieldRef: {fieldPath: metadata.name}
      - name: DFP_POD_UID
        valueFrom:
          fieldRef: {fieldPath: metadata.uid}
      {{- include "dfp.environment" (dict "root" . "needs" (include "dfp.everyNeed" . | fromJsonArray)) | trim | nindent 6 }}
  pod_template_spec_metadata:
    annotations:
      cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
      {{- with .Values.pods.annotations }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
  pod_spec_config:
    enableServiceLinks: false
    securityContext:
      {{- include "dfp.podSecurityContext" $place | nindent 6 }}
    {{- include "dfp.placement" $place | trim | nindent 4 }}
  job_spec_config:
    ttlSecondsAfterFinished: {{ .Values.runs.ttlSecondsAfterFinished }}
# What a run's tags may change of its pod: how much it gets and where it runs, not its rights.
only_allow_user_defined_k8s_config_fields:
  container_config: {resources: true}
  pod_spec_config: {node_selector: true, tolerations: true}
  pod_template_spec_metadata: {}
  job_metadata: {}
  job_spec_config: {}
  namespace: false
only_allow_user_defined_env_vars: []
{{- end -}}
