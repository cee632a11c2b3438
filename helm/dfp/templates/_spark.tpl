{{/* Java option that has Prometheus's JMX exporter answer. Takes {port}. */}}
{{- define "dfp.jmxAgent" -}}
-javaagent:/opt/spark/jmx/jmx_prometheus_javaagent.jar={{ .port }}:/opt/spark/jmx/spark.yaml
{{- end -}}

{{/* What every Spark of this project is told, {name: value}; the operator hides the image's spark-defaults.conf. */}}
{{- define "dfp.sparkProperties" -}}
spark.sql.catalogImplementation: in-memory
spark.sql.extensions: org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions
spark.sql.session.timeZone: UTC
spark.metrics.conf.*.sink.jmx.class: org.apache.spark.metrics.sink.JmxSink
spark.metrics.namespace: ${spark.app.name}
{{ include "dfp.s3aProperties" . }}
{{- end -}}

{{- define "dfp.applicationProperties" -}}
{{ include "dfp.sparkProperties" . }}
spark.eventLog.enabled: "true"
spark.eventLog.dir: s3a://{{ .Values.s3.buckets.logs }}/spark-events
spark.kubernetes.executor.deleteOnTermination: "true"
{{- end -}}

{{/* What a driver and its executors share, in the words of the operator. Takes root. */}}
{{- define "dfp.sparkPod" -}}
{{- $me := dict "root" . "component" "spark-dbt" -}}
labels:
  {{- include "dfp.podLabels" $me | nindent 2 }}
{{- with .Values.pods.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
podSecurityContext:
  {{- include "dfp.podSecurityContext" $me | nindent 2 }}
securityContext:
  {{- include "dfp.containerSecurityContext" . | nindent 2 }}
{{- with .Values.pods.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pods.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
envFrom:
  - configMapRef:
      name: {{ include "dfp.fullname" . }}-settings
env:
  {{- include "dfp.environment" (dict "root" . "needs" (list "s3" "lakefs" "catalog")) | trim | nindent 2 }}
javaOptions: {{ include "dfp.jmxAgent" (dict "port" 8090) }}
ports:
  - name: metrics
    containerPort: 8090
    protocol: TCP
volumeMounts:
  - name: home
    mountPath: /var/lib/dfp
  - name: tmp
    mountPath: /tmp
  - name: spark-local-dir-1
    mountPath: /var/lib/spark
template:
  spec:
    enableServiceLinks: false
{{- end -}}

{{/* The application that a run fills in (name, labels, arguments, the lake's ref) and submits. */}}
{{- define "dfp.sparkApplication" -}}
{{- $spark := .Values.sparkApplications -}}
{{- $name := include "dfp.fullname" . -}}
apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata:
  name: {{ $name }}-spark-dbt
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "dfp.podLabels" (dict "root" . "component" "spark-dbt") | nindent 4 }}
spec:
  type: Python
  pythonVersion: "3"
  mode: cluster
  sparkVersion: {{ $spark.sparkVersion | quote }}
  image: {{ include "dfp.image" (dict "root" . "name" "dfp-spark") }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  mainApplicationFile: {{ $spark.mainApplicationFile }}
  # A run has retries of its own, and a run that was fenced must not come back.
  restartPolicy:
    type: Never
  timeToLiveSeconds: {{ $spark.timeToLiveSeconds }}
  dynamicAllocation:
    {{- toYaml $spark.dynamicAllocation | nindent 4 }}
  sparkConf:
    {{- merge (dict) $spark.properties (include "dfp.applicationProperties" . | fromYaml) | toYaml | nindent 4 }}
  volumes:
    - name: home
      emptyDir: {sizeLimit: {{ .Values.pods.homeSize }}}
    - name: tmp
      emptyDir: {sizeLimit: {{ .Values.pods.tmpSize }}}
    # A volume of this name is where Spark keeps shuffles.
    - name: spark-local-dir-1
      emptyDir: {sizeLimit: {{ $spark.localDirSize }}}
  driver:
    cores: {{ $spark.driver.cores }}
    coreRequest: {{ $spark.driver.coreRequest | quote }}
    coreLimit: {{ $spark.driver.coreLimit | quote }}
    memory: {{ $spark.driver.memory }}
    memoryOverhead: {{ $spark.driver.memoryOverhead }}
    serviceAccount: {{ $name }}-spark-dbt
    {{- include "dfp.sparkPod" . | nindent 4 }}
  executor:
    instances: {{ $spark.dynamicAllocation.initialExecutors }}
    cores: {{ $spark.executor.cores }}
    coreRequest: {{ $spark.executor.coreRequest | quote }}
    coreLimit: {{ $spark.executor.coreLimit | quote }}
    memory: {{ $spark.executor.memory }}
    memoryOverhead: {{ $spark.executor.memoryOverhead }}
    serviceAccount: {{ $name }}-spark-dbt-executor
    deleteOnTermination: true
    {{- include "dfp.sparkPod" . | nindent 4 }}
{{- end -}}
