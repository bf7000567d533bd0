#!/usr/bin/env bash
# A walk through every AWS operation that torpor answers, with the published `aws` command line, unchanged.
#
# Run it with `torpor run -- bash tour.sh`. Every call is printed before it is made. Everything that is made is deleted
# again; if the tour breaks off, what is left begins with the name on the first line. Version 1 of the command line has no
# `lambda invoke-with-response-stream`, and its `logs start-live-tail` is for terminals: those two are in tour.py alone.
set -euo pipefail

name=tour-$RANDOM$RANDOM
files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
echo "name $name"
export AWS_PAGER=

# `call SERVICE OPERATION …` shows what is called, and keeps quiet about the answer; `ask` prints the answer alone.
call() { echo "aws $*"; aws "$@" >"$files/answer"; }
ask() { echo "aws $*" >&2; aws --output text "$@"; }

archive() { # archive FILE.zip NAME TEXT
  python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1], "w").writestr(*sys.argv[2:])' "$@"
}
archive "$files/one.zip" app.py $'def handler(event, context):\n    print("said", event)\n    return context.function_version\n'
archive "$files/two.zip" app.py $'def handler(event, context):\n    print("said two", event)\n    return context.function_version\n'
archive "$files/layer.zip" python/shared.py $'VALUE = 1\n'
policy='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}'

# ── Roles, which scripts begin with; who one is, and credentials for a while.
call sts get-caller-identity
role=$(ask iam create-role --role-name "$name" --assume-role-policy-document "$policy" --path "/$name/" --query Role.Arn)
call iam create-role --role-name "$name-b" --assume-role-policy-document "$policy" --path "/$name/"
call iam wait role-exists --role-name "$name"
call iam get-role --role-name "$name"
call iam list-roles --path-prefix "/$name/" --page-size 1
call iam update-assume-role-policy --role-name "$name" --policy-document "$policy"
call iam tag-role --role-name "$name" --tags Key=team,Value=x
call iam untag-role --role-name "$name" --tag-keys team
for one in Reading Writing; do
  call iam attach-role-policy --role-name "$name" --policy-arn "arn:aws:iam::aws:policy/$one"
  call iam put-role-policy --role-name "$name" --policy-name "$one" --policy-document "$policy"
done
call iam list-attached-role-policies --role-name "$name" --page-size 1
call iam list-role-policies --role-name "$name" --page-size 1
call iam get-role-policy --role-name "$name" --policy-name Reading
call sts get-session-token
call sts assume-role --role-arn "$role" --role-session-name tour
for one in Reading Writing; do
  call iam detach-role-policy --role-name "$name" --policy-arn "arn:aws:iam::aws:policy/$one"
  call iam delete-role-policy --role-name "$name" --policy-name "$one"
done
call iam delete-role --role-name "$name"
call iam delete-role --role-name "$name-b"

# ── A secret's values, versions and stages; deleted for a while, and for good.
call secretsmanager create-secret --name "$name" --secret-string first
call secretsmanager put-secret-value --secret-id "$name" --secret-string second
test "$(ask secretsmanager get-secret-value --secret-id "$name" --query SecretString)" = second
call secretsmanager update-secret --secret-id "$name" --description 'of the tour'
call secretsmanager tag-resource --secret-id "$name" --tags Key=team,Value=x
call secretsmanager untag-resource --secret-id "$name" --tag-keys team
call secretsmanager describe-secret --secret-id "$name"
call secretsmanager list-secret-version-ids --secret-id "$name"
call secretsmanager list-secrets --page-size 1
call secretsmanager delete-secret --secret-id "$name"
call secretsmanager restore-secret --secret-id "$name"
call secretsmanager delete-secret --secret-id "$name" --force-delete-without-recovery

# ── The same store by Systems Manager's interface.
for leaf in a b c; do call ssm put-parameter --name "/$name/$leaf" --value v --type SecureString; done
test "$(ask ssm get-parameter --name "/$name/a" --with-decryption --query Parameter.Value)" = v
call ssm get-parameters --names "/$name/a" "/$name/b"
call ssm get-parameters-by-path --path "/$name" --page-size 1
call ssm describe-parameters --parameter-filters "Key=Name,Option=BeginsWith,Values=/$name" --page-size 1
call ssm delete-parameter --name "/$name/a"
call ssm delete-parameters --names "/$name/b" "/$name/c"

# ── Two versions of a layer, and who may use one.
for _ in 1 2; do
  layer=$(ask lambda publish-layer-version --layer-name "$name" --zip-file "fileb://$files/layer.zip" \
    --query LayerVersionArn)
done
call lambda list-layers --page-size 1
call lambda list-layer-versions --layer-name "$name" --page-size 1
call lambda get-layer-version --layer-name "$name" --version-number 1
call lambda get-layer-version-by-arn --arn "$layer"
call lambda add-layer-version-permission --layer-name "$name" --version-number 1 --statement-id all \
  --action lambda:GetLayerVersion --principal '*'
call lambda get-layer-version-policy --layer-name "$name" --version-number 1
call lambda remove-layer-version-permission --layer-name "$name" --version-number 1 --statement-id all
call lambda delete-layer-version --layer-name "$name" --version-number 1

# ── A function: created, waited for, called, updated, published twice.
arn=$(ask lambda create-function --function-name "$name" --runtime python3.11 --handler app.handler --role "$role" \
  --zip-file "fileb://$files/one.zip" --layers "$layer" --timeout 10 --memory-size 256 --query FunctionArn)
for waiter in function-exists function-active function-active-v2; do call lambda wait $waiter --function-name "$name"; done
call lambda invoke --function-name "$name" --payload '{"a": 1}' "$files/out.json"
test "$(cat "$files/out.json")" = '"$LATEST"'
call lambda publish-version --function-name "$name"
call lambda wait published-version-active --function-name "$name" --qualifier 1
call lambda update-function-code --function-name "$name" --zip-file "fileb://$files/two.zip"
call lambda wait function-updated --function-name "$name"
call lambda update-function-configuration --function-name "$name" --layers --environment 'Variables={LEVEL=2}'
call lambda wait function-updated-v2 --function-name "$name"
call lambda publish-version --function-name "$name"
call lambda wait published-version-active --function-name "$name" --qualifier 2
call lambda list-functions --page-size 1
call lambda list-versions-by-function --function-name "$name" --page-size 1
call lambda get-function --function-name "$name"
call lambda get-function-configuration --function-name "$name"
call lambda get-account-settings

# ── Aliases: one moves from a version to the other, by halves first.
call lambda create-alias --function-name "$name" --name live --function-version 1
call lambda create-alias --function-name "$name" --name next --function-version 2
call lambda update-alias --function-name "$name" --name live --routing-config 'AdditionalVersionWeights={2=0.5}'
call lambda get-alias --function-name "$name" --name live
call lambda list-aliases --function-name "$name" --page-size 1
call lambda invoke --function-name "$name:next" "$files/out.json"
test "$(cat "$files/out.json")" = '"2"'

# ── How many at once: at most so many, and so many kept ready.
call lambda put-function-concurrency --function-name "$name" --reserved-concurrent-executions 5
call lambda get-function-concurrency --function-name "$name"
call lambda put-provisioned-concurrency-config --function-name "$name" --qualifier 1 --provisioned-concurrent-executions 1
for _ in $(seq 60); do
  status=$(ask lambda get-provisioned-concurrency-config --function-name "$name" --qualifier 1 --query Status)
  [ "$status" = READY ] && break
done
test "$status" = READY
call lambda list-provisioned-concurrency-configs --function-name "$name" --page-size 1
call lambda delete-provisioned-concurrency-config --function-name "$name" --qualifier 1
call lambda delete-function-concurrency --function-name "$name"

# ── What hangs on a function: tags, a policy, what becomes of events, addresses.
call lambda tag-resource --resource "$arn" --tags team=x
call lambda untag-resource --resource "$arn" --tag-keys team
call lambda list-tags --resource "$arn"
call lambda add-permission --function-name "$name" --statement-id web --action lambda:InvokeFunction \
  --principal apigateway.amazonaws.com
call lambda get-policy --function-name "$name"
call lambda remove-permission --function-name "$name" --statement-id web
call lambda put-function-event-invoke-config --function-name "$name" --maximum-retry-attempts 1
call lambda update-function-event-invoke-config --function-name "$name" --maximum-retry-attempts 0
call lambda get-function-event-invoke-config --function-name "$name"
call lambda list-function-event-invoke-configs --function-name "$name" --page-size 1
call lambda delete-function-event-invoke-config --function-name "$name"
call lambda create-function-url-config --function-name "$name" --auth-type AWS_IAM
call lambda update-function-url-config --function-name "$name" --cors 'AllowOrigins=*'
call lambda get-function-url-config --function-name "$name"
call lambda list-function-url-configs --function-name "$name" --page-size 1
call lambda delete-function-url-config --function-name "$name"

# ── An HTTP API.
api=$(ask apigatewayv2 create-api --name "$name" --protocol-type HTTP --query ApiId)
resource=arn:aws:apigateway:us-east-1::/apis/$api
call apigatewayv2 get-apis --page-size 1
call apigatewayv2 update-api --api-id "$api" --cors-configuration 'AllowOrigins=*'
call apigatewayv2 get-api --api-id "$api"
call apigatewayv2 delete-cors-configuration --api-id "$api"
call apigatewayv2 tag-resource --resource-arn "$resource" --tags team=x
call apigatewayv2 untag-resource --resource-arn "$resource" --tag-keys team
call apigatewayv2 get-tags --resource-arn "$resource"
integration=$(ask apigatewayv2 create-integration --api-id "$api" --integration-type AWS_PROXY --integration-uri "$arn" \
  --payload-format-version 2.0 --query IntegrationId)
call apigatewayv2 update-integration --api-id "$api" --integration-id "$integration" --timeout-in-millis 5000
call apigatewayv2 get-integration --api-id "$api" --integration-id "$integration"
call apigatewayv2 get-integrations --api-id "$api" --page-size 1
route=$(ask apigatewayv2 create-route --api-id "$api" --route-key 'GET /notes' --target "integrations/$integration" \
  --query RouteId)
call apigatewayv2 update-route --api-id "$api" --route-id "$route" --operation-name notes
call apigatewayv2 get-route --api-id "$api" --route-id "$route"
call apigatewayv2 get-routes --api-id "$api" --page-size 1
deployment=$(ask apigatewayv2 create-deployment --api-id "$api" --query DeploymentId)
call apigatewayv2 update-deployment --api-id "$api" --deployment-id "$deployment" --description 'of the tour'
call apigatewayv2 get-deployment --api-id "$api" --deployment-id "$deployment"
call apigatewayv2 get-deployments --api-id "$api" --page-size 1
call apigatewayv2 create-stage --api-id "$api" --stage-name live
call apigatewayv2 update-stage --api-id "$api" --stage-name live \
  --route-settings '{"GET /notes": {"ThrottlingBurstLimit": 5, "ThrottlingRateLimit": 10}}'
call apigatewayv2 get-stage --api-id "$api" --stage-name live
call apigatewayv2 get-stages --api-id "$api" --page-size 1
call apigatewayv2 delete-route-settings --api-id "$api" --stage-name live --route-key 'GET /notes'
call apigatewayv2 delete-stage --api-id "$api" --stage-name live
call apigatewayv2 delete-deployment --api-id "$api" --deployment-id "$deployment"
call apigatewayv2 delete-route --api-id "$api" --route-id "$route"
call apigatewayv2 delete-integration --api-id "$api" --integration-id "$integration"
call apigatewayv2 delete-api --api-id "$api"

# ── What the function said, found in its own group; and a group of one's own.
group=/aws/lambda/$name
call logs create-log-group --log-group-name "/$name/a"
call logs describe-log-groups --log-group-name-prefix "$group" --page-size 1
call logs describe-log-streams --log-group-name "$group" --page-size 1
call logs filter-log-events --log-group-name "$group" --filter-pattern said --page-size 1
stream=$(ask logs filter-log-events --log-group-name "$group" --filter-pattern said --no-paginate \
  --query 'events[0].logStreamName')
call logs get-log-events --log-group-name "$group" --log-stream-name "$stream" --start-from-head
own=$(ask logs describe-log-groups --log-group-name-prefix "/$name/a" --query 'logGroups[0].logGroupArn')
call logs put-retention-policy --log-group-name "/$name/a" --retention-in-days 7
call logs delete-retention-policy --log-group-name "/$name/a"
call logs tag-resource --resource-arn "$own" --tags team=x
call logs untag-resource --resource-arn "$own" --tag-keys team
call logs list-tags-for-resource --resource-arn "$own"
call logs delete-log-group --log-group-name "/$name/a"

# ── Goodbye.
call lambda delete-alias --function-name "$name" --name live
call lambda delete-alias --function-name "$name" --name next
call lambda delete-function --function-name "$name"
call lambda delete-layer-version --layer-name "$name" --version-number 2
