"""The VPC: three zones, no way out but AWS's own endpoints, hence no NAT to pay for."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.building_blocks.log_group import log_group
from infra.deployment import Deployment, DeploymentStack

KAFKA_IAM_PORT = 9098
TLS_PORT = 443

INTERFACE_ENDPOINTS = {
    # Lambda's pollers call these two from within the VPC.
    "Lambda": ec2.InterfaceVpcEndpointAwsService.LAMBDA_,
    "Sts": ec2.InterfaceVpcEndpointAwsService.STS,
    # receive_webhook reads secrets, publish_changes fills the channels' queues.
    "SecretsManager": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    "Sqs": ec2.InterfaceVpcEndpointAwsService.SQS,
}


class NetworkStack(DeploymentStack):
    """Subnets and security groups for the brokers and for the functions that produce."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, "network", deployment=deployment)
        self.vpc = self._vpc()
        self.clients = self._group("Clients", "Functions that produce to Kafka")
        self.brokers = self._group("Brokers", "The brokers of Kafka and the pollers that read them")
        self._endpoints()
        self._rules()
        subnets = self.vpc.isolated_subnets
        self.publish_list("network", "subnets", values=[s.subnet_id for s in subnets])
        self.publish("network", "clients", value=self.clients.security_group_id)
        self.publish("network", "brokers", value=self.brokers.security_group_id)

    def _vpc(self) -> ec2.Vpc:
        deployment = self.deployment
        vpc = ec2.Vpc(
            self,
            "Vpc",
            vpc_name=deployment.named("vpc"),
            ip_addresses=ec2.IpAddresses.cidr("10.40.0.0/16"),
            availability_zones=[
                f"{deployment.settings.region}{zone}" for zone in deployment.settings.zones
            ],
            nat_gateways=0,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    # Every sandbox in the VPC and every poller takes addresses of its zone.
                    name="isolated",
                    subnet_type=ec2.SubnetType.PRIVATE_ISOLATED,
                    cidr_mask=20,
                )
            ],
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
                "DynamoDb": ec2.GatewayVpcEndpointOptions(
                    service=ec2.GatewayVpcEndpointAwsService.DYNAMODB
                ),
            },
        )
        self._flow_log(vpc)
        return vpc

    def _flow_log(self, vpc: ec2.Vpc) -> None:
        name = f"/aws/vpc/{self.deployment.named('flow')}"
        group = log_group(self, "FlowLogs", self.deployment.settings, name=name)
        role = iam.Role(
            self,
            "FlowLogRole",
            assumed_by=iam.ServicePrincipal("vpc-flow-logs.amazonaws.com"),
        )
        vpc.add_flow_log(
            "Rejected",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(group, role),
            # What is let through is in CloudTrail and in the brokers' logs; this costs little.
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )

    def _group(self, name: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self,
            name,
            vpc=self.vpc,
            security_group_name=self.deployment.named(name.lower()),
            description=description,
            allow_all_outbound=False,
        )

    def _endpoints(self) -> None:
        self.endpoints = self._group("Endpoints", "The endpoints of AWS inside the VPC")
        for name, service in INTERFACE_ENDPOINTS.items():
            self.vpc.add_interface_endpoint(
                name,
                service=service,
                security_groups=[self.endpoints],
                open=False,
                subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            )

    def _rules(self) -> None:
        kafka, tls = ec2.Port.tcp(KAFKA_IAM_PORT), ec2.Port.tcp(TLS_PORT)
        for source in (self.clients, self.brokers):
            # Lambda's pollers wear the brokers' own group.
            self.brokers.add_ingress_rule(source, kafka, "Kafka with IAM over TLS")
            source.add_egress_rule(self.brokers, kafka, "Kafka with IAM over TLS")
            self.endpoints.add_ingress_rule(source, tls, "AWS's interfaces")
            source.add_egress_rule(
                # S3 and DynamoDB answer from public addresses, routed by gateway endpoints; the
                # VPC has no other way out.
                ec2.Peer.any_ipv4(),
                tls,
                "AWS's endpoints, gateways included",
            )
