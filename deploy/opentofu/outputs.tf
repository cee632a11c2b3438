output "helm_values" {
  description = "Values of the chart helm/dfp that follow from what was made: tofu output -raw helm_values > values-aws.yaml."
  value = yamlencode({
    s3 = {
      region  = aws_s3_bucket.this["lakefs"].region
      buckets = { for key, bucket in aws_s3_bucket.this : key => bucket.id }
      keys    = false
    }
    minio = { inCluster = false }
    postgres = {
      inCluster = false
      external  = { host = aws_db_instance.this.address, port = aws_db_instance.this.port, sslmode = "require" }
    }
    redis = {
      inCluster = false
      external  = { port = aws_elasticache_replication_group.this.port }
    }
    serviceAccounts = {
      annotations = {
        for component in var.components : component => { "eks.amazonaws.com/role-arn" = aws_iam_role.lake.arn }
      }
    }
  })
}

output "cluster_name" {
  description = "aws eks update-kubeconfig --name <this>"
  value       = aws_eks_cluster.this.name
}

output "postgres_secret_arn" {
  description = "Where Secrets Manager keeps user and password of Postgres; the chart's Secret is made from it."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}

output "redis_host" {
  description = "Host in the chart's secret redisUrl: rediss://:<redis_auth_token>@<this>:6379/0"
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "lake_role_arn" {
  description = "Role of the pods that read and write the buckets."
  value       = aws_iam_role.lake.arn
}
