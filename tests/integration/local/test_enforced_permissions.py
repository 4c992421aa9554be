"""With `auth`, the local AWS holds functions to the policies of their roles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from desireline_local.aws.cloud import LocalAws
from tests.integration.tiny_functions import FunctionFailedError, create_function, invoke

LISTS = """
    def handle(event, context):
        return boto3.client("dynamodb").list_tables()["TableNames"]
"""
LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}


def test_a_function_may_do_what_its_role_allows_and_no_more(tmp_path: Path) -> None:
    with LocalAws(tmp_path, auth=True) as aws:
        iam = aws.client("iam")
        trust = {"Version": "2012-10-17", "Statement": [{**LAMBDA, "Action": "sts:AssumeRole"}]}
        role = iam.create_role(RoleName="lister", AssumeRolePolicyDocument=json.dumps(trust))
        function = create_function(aws, LISTS, role=role["Role"]["Arn"])

        with pytest.raises(FunctionFailedError, match="AccessDenied"):
            invoke(aws, function, {})

        allowed = {"Effect": "Allow", "Action": "dynamodb:ListTables", "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [allowed]}
        iam.put_role_policy(
            RoleName="lister", PolicyName="lists", PolicyDocument=json.dumps(policy)
        )
        assert invoke(aws, function, {}) == []
