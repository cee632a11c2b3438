data "aws_caller_identity" "current" {}

data "aws_vpc" "this" {
  id = var.vpc_id
}

locals {
  buckets = { lakefs = "lakefs-data", mlflow = "mlflow", logs = "logs" }
  tags    = merge({ "app.kubernetes.io/part-of" = "dfp" }, var.tags)
}

resource "aws_kms_key" "this" {
  description             = "Data of ${var.name} at rest"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = local.tags
}
