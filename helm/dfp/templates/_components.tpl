{{/* One table of all components: whether they are here, their ports, and whom they call.
     Services, service accounts, disruption budgets and NetworkPolicies are made of it, so none can be forgotten.
       here      whether this release has it
       ports     name: port of its Service and of its pods
       scrape    the port that Prometheus asks, if any
       calls     components it may connect to; one that is not here is opened by its external address
       api       whether it may ask the Kubernetes API
       internet  whether it may connect to networkPolicy.internet
       budget    whether a PodDisruptionBudget keeps it up while nodes are drained
       uid       of its user, where that is not the one of the project's images */}}
{{- define "dfp.components" -}}
{{- $v := .Values -}}
webserver:
  here: true
  ports: {http: 3000}
  calls: [code-location, postgres, minio]
  api: true
  budget: true
daemon:
  here: true
  ports: {}
  calls: [code-location, postgres, minio]
  api: true
code-location:
  here: true
  ports: {grpc: 4000}
  calls: [postgres, minio, lakefs, redis, mlflow, catalog, api, spark-thrift]
  internet: true
  budget: true
runs:
  here: true
  ports: {}
  calls: [postgres, minio, lakefs, redis, mlflow, catalog, api, spark-thrift]
  api: true
  internet: true
catalog:
  here: {{ $v.catalog.enabled }}
  ports: {http: 8181}
  calls: [lakefs, minio]
  scrape: http
  budget: true
api:
  here: {{ $v.api.enabled }}
  ports: {http: 8010}
  calls: [lakefs, minio, redis]
  scrape: http
  budget: true
feast:
  here: {{ $v.feast.enabled }}
  ports: {http: 6566}
  calls: [lakefs, minio, redis]
  budget: true
metrics:
  here: {{ $v.metrics.enabled }}
  ports: {http: 8030}
  calls: [lakefs, minio, postgres, redis]
  scrape: http
mlflow:
  here: {{ $v.mlflow.inCluster }}
  ports: {http: 5000}
  calls: [postgres, minio]
  budget: true
lakefs:
  here: {{ $v.lakefs.inCluster }}
  ports: {http: 8000}
  calls: [postgres, minio]
  scrape: http
  budget: true
postgres:
  here: {{ $v.postgres.inCluster }}
  ports: {postgres: 5432}
  uid: 999
redis:
  here: {{ $v.redis.inCluster }}
  ports: {redis: 6379}
  uid: 999
minio:
  here: {{ $v.minio.inCluster }}
  ports: {s3: 9000, console: 9001}
  scrape: s3
init:
  here: {{ $v.init.enabled }}
  ports: {}
  calls: [lakefs, minio]
spark-thrift:
  here: {{ $v.sparkThrift.enabled }}
  ports: {thrift: 10000, ui: 4040, metrics: 9404}
  calls: [catalog, minio]
  scrape: metrics
  budget: true
spark-history:
  here: {{ $v.sparkHistory.enabled }}
  ports: {http: 18080}
  calls: [minio]
spark-dbt:
  here: {{ $v.sparkApplications.enabled }}
  ports: {}
  calls: [catalog, lakefs, minio, spark-dbt]
  api: true
  internet: true
{{- end -}}

{{/* The ports on which a component that is not here is reached outside. Takes {root, component}. */}}
{{- define "dfp.externalPorts" -}}
{{- $v := .root.Values -}}
{{- $ports := dict "postgres" (list $v.postgres.external.port) "redis" (list $v.redis.external.port) -}}
{{- range $name := list "minio" "lakefs" "mlflow" -}}
{{- $_ := set $ports $name (list (include "dfp.portOfUrl" (get $v $name).external.url | int)) -}}
{{- end -}}
{{- get $ports .component | toJson -}}
{{- end -}}

{{/* The port that an address names, or its scheme's. */}}
{{- define "dfp.portOfUrl" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $port | default (ternary "80" "443" (eq $url.scheme "http")) -}}
{{- end -}}
