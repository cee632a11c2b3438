{{/* Openings of NetworkPolicies. */}}

{{/* The ports of a component as a policy lists them; those that only Prometheus asks are left out. Takes the component. */}}
{{- define "dfp.openPorts" -}}
{{- range $name, $port := .ports }}
{{- if ne $name "metrics" }}
- {port: {{ $port }}, protocol: TCP}
{{- end }}
{{- end }}
{{- end -}}

{{/* Who may come in: callers, Prometheus, and people by an ingress or load balancer.
     Takes {root, component, components, exposed}. */}}
{{- define "dfp.openingsIn" -}}
{{- $me := get .components .component -}}
{{- $root := .root -}}
{{- $policy := .root.Values.networkPolicy -}}
{{- $callers := list -}}
{{- range $name, $is := .components -}}
{{- if and $is.here (has $.component ($is.calls | default list)) -}}
{{- $callers = append $callers $name -}}
{{- end -}}
{{- end -}}
{{- if $callers }}
- from:
    - podSelector:
        matchLabels:
          app.kubernetes.io/name: {{ include "dfp.name" $root }}
          app.kubernetes.io/instance: {{ $root.Release.Name }}
        matchExpressions:
          - {key: app.kubernetes.io/component, operator: In, values: {{ toJson $callers }}}
  {{- with $me.ports }}
  ports:
    {{- include "dfp.openPorts" $me | nindent 4 }}
  {{- end }}
{{- end }}
{{- if or $me.scrape (eq .component "spark-dbt") }}
- from:
    - namespaceSelector:
        matchLabels:
          {{- toYaml $policy.monitoring.namespaceLabels | nindent 10 }}
  ports:
    - {port: {{ ternary 8090 (get $me.ports ($me.scrape | default "")) (eq .component "spark-dbt") }}, protocol: TCP}
{{- end }}
{{- $clients := get $policy.clients .component }}
{{- with $clients }}
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    {{- include "dfp.openPorts" $me | nindent 4 }}
{{- end }}
{{- if eq .exposed "ingress" }}
- from:
    - namespaceSelector:
        matchLabels:
          {{- toYaml $policy.ingress.namespaceLabels | nindent 10 }}
  ports:
    {{- include "dfp.openPorts" $me | nindent 4 }}
{{- else if eq .exposed "loadBalancer" }}
- from:
    {{- range $policy.loadBalancer.cidrs }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  ports:
    {{- include "dfp.openPorts" $me | nindent 4 }}
{{- end }}
{{- if not (or $callers $me.scrape (ne .exposed "none") $clients (eq .component "spark-dbt")) }}
[]
{{- end }}
{{- end -}}

{{/* Where a component may go: names, whom it calls, the Kubernetes API, the internet. Takes {root, component, components}. */}}
{{- define "dfp.openingsOut" -}}
{{- $me := get .components .component -}}
{{- $root := .root -}}
{{- $policy := .root.Values.networkPolicy -}}
- to:
    - namespaceSelector:
        matchLabels:
          {{- toYaml $policy.dns.namespaceLabels | nindent 10 }}
      {{- with $policy.dns.podLabels }}
      podSelector:
        matchLabels:
          {{- toYaml . | nindent 10 }}
      {{- end }}
  ports:
    {{- range $policy.dns.ports }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- range $name := $me.calls | default list }}
{{- $them := get $.components $name }}
{{- if $them.here }}
- to:
    - podSelector:
        matchLabels:
          {{- include "dfp.selectorLabels" (dict "root" $root "component" $name) | nindent 10 }}
  {{- with $them.ports }}
  ports:
    {{- include "dfp.openPorts" $them | nindent 4 }}
  {{- end }}
{{- else if hasKey $policy.external $name }}
- to:
    {{- range get $policy.external $name }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  ports:
    {{- range include "dfp.externalPorts" (dict "root" $root "component" $name) | fromJsonArray }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- end }}
{{- if $me.api }}
- to:
    {{- range $policy.kubernetesApi.cidrs }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  ports:
    {{- range $policy.kubernetesApi.ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- if $me.internet }}
- to:
    {{- range $policy.internet.cidrs }}
    - ipBlock:
        cidr: {{ . }}
        {{- with $policy.internet.except }}
        except: {{ toJson . }}
        {{- end }}
    {{- end }}
  ports:
    {{- range $policy.internet.ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- end -}}
