{{/* The Job that makes what the stores lack. */}}
{{- define "dfp.initJob" -}}
{{- $me := dict "root" . "component" "init" "image" "dfp-dagster" "resources" .Values.init.resources -}}
# The stores may need a while to start.
backoffLimit: 20
template:
  metadata:
    labels:
      {{- include "dfp.podLabels" $me | nindent 6 }}
    annotations:
      checksum/settings: {{ include "dfp.settings" . | sha256sum }}
      {{- with .Values.pods.annotations }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
  spec:
    {{- include "dfp.podSpec" $me | nindent 4 }}
    restartPolicy: OnFailure
    containers:
      - name: init
        {{- include "dfp.container" $me | nindent 8 }}
        command:
          {{- toYaml .Values.init.command | nindent 10 }}
        args: [--bucket, {{ .Values.s3.buckets.mlflow }}, --bucket, {{ .Values.s3.buckets.logs }}]
        env:
          {{- include "dfp.environment" (dict "root" . "needs" (list "s3" "lakefs")) | trim | nindent 10 }}
        volumeMounts:
          {{- include "dfp.scratchMounts" . | nindent 10 }}
    volumes:
      {{- include "dfp.scratchVolumes" $me | nindent 6 }}
{{- end -}}
