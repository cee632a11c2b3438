variable "name" {
  description = "Prefix of everything that is made; buckets get the account's number behind it."
  type        = string
  default     = "dfp"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", var.name))
    error_message = "The name has 3 to 22 lower-case letters, digits and dashes, and begins with a letter."
  }
}

variable "vpc_id" {
  description = "VPC in which all of it lies."
  type        = string

  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "The id of a VPC begins with vpc-."
  }
}

variable "private_subnet_ids" {
  description = "Private subnets, in two availability zones at least."
  type        = list(string)

  validation {
    condition     = length(var.private_subnet_ids) >= 2
    error_message = "Name at least two subnets, in different zones."
  }
}

variable "api_public_cidrs" {
  description = "Networks that may reach the cluster's API server over the internet; empty: none, it is private."
  type        = list(string)
  default     = []

  validation {
    condition     = !contains(var.api_public_cidrs, join("/", ["0.0.0.0", "0"]))
    error_message = "The API server is not opened to everybody: name networks."
  }
}

variable "namespace" {
  description = "Kubernetes namespace of the chart; its service accounts get the roles."
  type        = string
  default     = "dfp"
}

variable "release" {
  description = "Name of the chart's release; its service accounts are called <release>-<component>."
  type        = string
  default     = "dfp"
}

variable "components" {
  description = "Components of the chart whose service accounts may read and write the buckets."
  type        = list(string)
  default = [
    "api", "catalog", "code-location", "daemon", "feast", "init", "lakefs", "metrics", "mlflow", "runs", "spark-dbt",
    "spark-history", "spark-thrift", "webserver",
  ]
}

variable "kubernetes_version" {
  description = "Version of EKS."
  type        = string
  default     = "1.33"

  validation {
    condition     = can(regex("^1\\.[0-9]+$", var.kubernetes_version))
    error_message = "Write a minor version: 1.33."
  }
}

variable "node_instance_types" {
  description = "Machines of the node group."
  type        = list(string)
  default     = ["m7g.xlarge"]
}

variable "node_ami_type" {
  description = "Image of the nodes; it has to fit the processors of the instance types."
  type        = string
  default     = "AL2023_ARM_64_STANDARD"
}

variable "node_count" {
  description = "Nodes at least and at most."
  type        = object({ min = number, max = number })
  default     = { min = 2, max = 6 }

  validation {
    condition     = var.node_count.min >= 1 && var.node_count.max >= var.node_count.min
    error_message = "At least one node, and at most no fewer than at least."
  }
}

variable "postgres_instance_class" {
  description = "Machine of Postgres, which keeps Dagster's, MLflow's and lakeFS's records."
  type        = string
  default     = "db.t4g.medium"
}

variable "postgres_storage_gb" {
  description = "Disk of Postgres at first, in GB; it grows to four times that."
  type        = number
  default     = 50

  validation {
    condition     = var.postgres_storage_gb >= 20
    error_message = "RDS takes 20 GB at least."
  }
}

variable "redis_node_type" {
  description = "Machine of Redis, which serves features online."
  type        = string
  default     = "cache.t4g.small"
}

variable "redis_auth_token" {
  description = "Password of Redis, 16 to 128 letters; from a secret store, never from a file in git."
  type        = string
  sensitive   = true

  validation {
    condition     = length(var.redis_auth_token) >= 16 && length(var.redis_auth_token) <= 128
    error_message = "The password has 16 to 128 letters."
  }
}

variable "deletion_protection" {
  description = "Whether Postgres and the buckets resist being destroyed."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
