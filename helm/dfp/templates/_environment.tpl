{{/* What processes are told: addresses, settings, secrets by reference. */}}

{{/* A secret by reference. Takes {root, secret}: a name in secrets.keys. */}}
{{- define "dfp.secretKeyRef" -}}
{{- $keys := .root.Values.secrets.keys -}}
{{- $told := get $keys .secret | required (printf "secrets.keys.%s is not set. next: name the key of a Secret" .secret) -}}
secretKeyRef:
  name: {{ $told.name | default .root.Values.secrets.name }}
  key: {{ $told.key }}
{{- end -}}

{{/* A variable whose value is a secret. Takes {root, variable, secret}. */}}
{{- define "dfp.secretVariable" -}}
- name: {{ .variable }}
  valueFrom:
    {{- include "dfp.secretKeyRef" . | nindent 4 }}
{{- end -}}

{{- define "dfp.postgresHost" -}}
{{- if .Values.postgres.inCluster -}}
{{ include "dfp.fullname" . }}-postgres
{{- else -}}
{{ .Values.postgres.external.host | required "postgres.external.host is not set. next: name the server, or set postgres.inCluster" }}
{{- end -}}
{{- end -}}

{{- define "dfp.postgresPort" -}}
{{ ternary 5432 .Values.postgres.external.port .Values.postgres.inCluster | int }}
{{- end -}}

{{- define "dfp.postgresSslMode" -}}
{{ ternary "disable" .Values.postgres.external.sslMode .Values.postgres.inCluster }}
{{- end -}}

{{/* Address of the object store; empty for AWS itself. */}}
{{- define "dfp.s3Endpoint" -}}
{{- if .Values.minio.inCluster -}}
http://{{ include "dfp.fullname" . }}-minio:9000
{{- else -}}
{{ .Values.minio.external.url }}
{{- end -}}
{{- end -}}

{{- define "dfp.lakefsUrl" -}}
{{- if .Values.lakefs.inCluster -}}
http://{{ include "dfp.fullname" . }}-lakefs:8000
{{- else -}}
{{ .Values.lakefs.external.url | required "lakefs.external.url is not set. next: name the server, or set lakefs.inCluster" }}
{{- end -}}
{{- end -}}

{{- define "dfp.mlflowUrl" -}}
{{- if .Values.mlflow.inCluster -}}
http://{{ include "dfp.fullname" . }}-mlflow:5000
{{- else -}}
{{ .Values.mlflow.external.url | required "mlflow.external.url is not set. next: name the server, or set mlflow.inCluster" }}
{{- end -}}
{{- end -}}

{{/* What Hadoop's S3A has to be told about the object store, as Spark properties {name: value}. */}}
{{- define "dfp.s3aProperties" -}}
{{- with include "dfp.s3Endpoint" . }}
spark.hadoop.fs.s3a.endpoint: {{ . | quote }}
spark.hadoop.fs.s3a.path.style.access: "true"
{{- end }}
spark.hadoop.fs.s3a.endpoint.region: {{ .Values.s3.region | quote }}
{{- end -}}

{{/* Settings that are no secrets, {name: value}; what .Values.settings says comes last and wins. */}}
{{- define "dfp.settings" -}}
{{- $name := include "dfp.fullname" . -}}
{{- $told := dict
  "HOME" "/var/lib/dfp"
  "DFP_HOME" "/var/lib/dfp"
  "DFP_LAKE" "lakefs"
  "DFP_MLFLOW_URI" (include "dfp.mlflowUrl" .)
  "DFP_STEP_PROCESS" .Values.runs.stepProcess
  "LAKEFS_ENDPOINT_URL" (include "dfp.lakefsUrl" .)
  "LAKEFS_REPOSITORY" .Values.lakefs.repository
  "LAKEFS_STORAGE_BUCKET" .Values.s3.buckets.lakefs
  "AWS_REGION" .Values.s3.region
  "AWS_DEFAULT_REGION" .Values.s3.region
  "DAGSTER_HOME" "/etc/dfp"
  "DAGSTER_PG_HOST" (include "dfp.postgresHost" .)
  "DAGSTER_PG_PORT" (include "dfp.postgresPort" .)
  "DAGSTER_PG_DB" .Values.postgres.databases.dagster.name
  "DAGSTER_PG_USERNAME" .Values.postgres.databases.dagster.user
-}}
{{- with include "dfp.s3Endpoint" . }}
{{- $_ := set $told "AWS_ENDPOINT_URL" . }}
{{- end }}
{{- if .Values.catalog.enabled }}
{{- $_ := set $told "DFP_CATALOG_URI" (printf "http://%s-catalog:8181" $name) }}
{{- end }}
{{- if .Values.api.enabled }}
{{- $_ := set $told "DFP_SERVING_URLS" (printf "http://%s-api:8010" $name) }}
{{- end }}
{{- if .Values.sparkApplications.enabled }}
{{- $_ := set $told "DFP_SPARK_APPLICATION" "/etc/dfp/spark-application.yaml" }}
{{- else if .Values.sparkThrift.enabled }}
{{- $_ := set $told "DFP_SPARK_THRIFT" (printf "%s-spark-thrift:10000" $name) }}
{{- end }}
{{- if ne .Values.exposure.webserver.type "none" }}
{{- $_ := set $told "DFP_UI_URL" (printf "https://%s" .Values.exposure.webserver.host) }}
{{- end }}
{{- toYaml (merge (dict) .Values.settings $told) -}}
{{- end -}}

{{/* Secrets that a process needs, as variables. Takes {root, needs}: a list of dagster, s3, lakefs, redis, catalog, serving, metrics. */}}
{{- define "dfp.environment" -}}
{{- $root := .root -}}
{{- $variables := list -}}
{{- if has "dagster" .needs -}}
{{- $variables = append $variables (list "DAGSTER_PG_PASSWORD" "dagsterDatabase") -}}
{{- end -}}
{{- if and (has "s3" .needs) $root.Values.s3.keys -}}
{{- $variables = concat $variables (list (list "AWS_ACCESS_KEY_ID" "s3AccessKeyId") (list "AWS_SECRET_ACCESS_KEY" "s3SecretAccessKey")) -}}
{{- end -}}
{{- if has "lakefs" .needs -}}
{{- $variables = concat $variables (list (list "LAKEFS_ACCESS_KEY_ID" "lakefsAccessKeyId") (list "LAKEFS_SECRET_ACCESS_KEY" "lakefsSecretAccessKey")) -}}
{{- end -}}
{{- if has "catalog" .needs -}}
{{- $variables = append $variables (list "DFP_CATALOG_TOKEN" "catalogToken") -}}
{{- end -}}
{{- if has "metrics" .needs -}}
{{- $variables = append $variables (list "DFP_METRICS_TOKEN" "metricsToken") -}}
{{- end -}}
{{- if has "serving" .needs -}}
{{- $variables = append $variables (list "DFP_SERVING_TOKEN" "servingToken") -}}
{{- end -}}
{{- range $variables }}
{{ include "dfp.secretVariable" (dict "root" $root "variable" (first .) "secret" (last .)) }}
{{- end }}
{{- if has "redis" .needs }}
{{- if $root.Values.redis.inCluster }}
{{ include "dfp.secretVariable" (dict "root" $root "variable" "REDIS_PASSWORD" "secret" "redis") }}
- name: DFP_REDIS_URL
  value: redis://:$(REDIS_PASSWORD)@{{ include "dfp.fullname" $root }}-redis:6379/0
{{- else }}
{{ include "dfp.secretVariable" (dict "root" $root "variable" "DFP_REDIS_URL" "secret" "redisUrl") }}
{{- end }}
{{- end }}
{{- range $root.Values.secrets.variables }}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .name | default $root.Values.secrets.name }}
      key: {{ .key }}
{{- end }}
{{- end -}}

{{- define "dfp.everyNeed" -}}
{{ list "dagster" "s3" "lakefs" "redis" "catalog" "serving" | toJson }}
{{- end -}}
