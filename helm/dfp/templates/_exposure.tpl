{{/* Who is reachable from outside, and what that takes. */}}

{{- define "dfp.exposed" -}}
{{ toYaml .Values.exposure }}
{{- end -}}

{{/* What shuts no door by itself: whoever reaches it may do everything. */}}
{{- define "dfp.withoutLogin" -}}
{{ list "webserver" "mlflow" "feast" "spark-history" | toJson }}
{{- end -}}

{{/* Fails unless an exposure is safe. Takes {root, component, how, components}. */}}
{{- define "dfp.refuseUnsafeExposure" -}}
{{- $at := printf "exposure.%s" .component -}}
{{- $how := .how -}}
{{- if not (get .components .component).here -}}
{{- fail (printf "%s is of type %s, and this release has no %s. next: switch the component on, or set %s.type to none" $at $how.type .component $at) -}}
{{- end -}}
{{- if and (has .component (include "dfp.withoutLogin" .root | fromJsonArray)) (not $how.auth.proxied) -}}
{{- fail (printf "%s has no login of its own: exposed by %s.type=%s, everybody who reaches it may do everything. next: put an authenticating proxy before it (for oauth2-proxy at ingress-nginx: %s.annotations with nginx.ingress.kubernetes.io/auth-url and auth-signin) and say so by %s.auth.proxied=true; or use kubectl port-forward and %s.type=none" .component $at $how.type $at $at $at) -}}
{{- end -}}
{{- if eq $how.type "ingress" -}}
{{- if not $how.host -}}
{{- fail (printf "%s.type is ingress and names no host. next: set %s.host" $at $at) -}}
{{- end -}}
{{- if not (or $how.tls.secretName .root.Values.ingress.clusterIssuer) -}}
{{- fail (printf "%s would be exposed without TLS: tokens and passwords could be read on the way. next: set %s.tls.secretName to a Secret of type kubernetes.io/tls, or ingress.clusterIssuer to an issuer of cert-manager" .component $at) -}}
{{- end -}}
{{- else if not $how.tls.atLoadBalancer -}}
{{- fail (printf "%s would be exposed without TLS: tokens and passwords could be read on the way. next: have the load balancer end TLS by annotations of your cloud in %s.annotations and say so by %s.tls.atLoadBalancer=true, or use an ingress" .component $at $at) -}}
{{- end -}}
{{- end -}}
