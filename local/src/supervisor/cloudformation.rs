//! The few calls of CloudFormation that a deployment to the emulator takes, in its query protocol (form in, XML
//! out). The SDK's crate for it would be one of the largest of the whole build.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::Instant;

use crate::emulator::{ACCESS_KEY_ID, REGION};

/// The emulator takes about a second to create everything.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
const VERSION: &str = "2010-05-15";

/// A stack as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stack {
    pub(super) status: String,
    pub(super) outputs: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
}

impl Stack {
    pub(super) fn is_healthy(&self) -> bool {
        matches!(self.status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE")
    }
}

/// What to deploy.
#[derive(Clone, Debug)]
pub(super) struct Deployment<'a> {
    pub(super) stack: &'a str,
    pub(super) template: &'a str,
    pub(super) parameters: &'a BTreeMap<&'static str, String>,
    pub(super) tag: (&'a str, &'a str),
}

/// A client of the emulator's CloudFormation.
#[derive(Clone, Debug)]
pub(super) struct CloudFormation {
    http: reqwest::Client,
    endpoint: String,
}

impl CloudFormation {
    pub(super) fn at(endpoint: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            endpoint: format!("{endpoint}/"),
        }
    }

    /// The stack, if there is one.
    pub(super) async fn describe(&self, stack: &str) -> anyhow::Result<Option<Stack>> {
        match self.call("DescribeStacks", &[("StackName", stack)]).await? {
            Answer::Done(xml) => Ok(Some(read_stack(&xml)?)),
            Answer::Refused(reason) if reason.contains("does not exist") => Ok(None),
            Answer::Refused(reason) => bail!("CloudFormation cannot describe {stack}: {reason}"),
        }
    }

    /// Creates or updates the stack and waits until it stands.
    pub(super) async fn deploy(&self, deployment: &Deployment<'_>) -> anyhow::Result<Stack> {
        let before = self.describe(deployment.stack).await?;
        let action = match before {
            None => "CreateStack",
            Some(stack) if stack.is_healthy() => "UpdateStack",
            // A creation that failed leaves a stack that can only be deleted.
            Some(_) => {
                self.delete(deployment.stack).await?;
                "CreateStack"
            }
        };
        let mut form = vec![
            ("StackName".to_owned(), deployment.stack),
            ("TemplateBody".to_owned(), deployment.template),
            ("Capabilities.member.1".to_owned(), "CAPABILITY_IAM"),
            ("Capabilities.member.2".to_owned(), "CAPABILITY_AUTO_EXPAND"),
            ("Tags.member.1.Key".to_owned(), deployment.tag.0),
            ("Tags.member.1.Value".to_owned(), deployment.tag.1),
        ];
        for (number, (name, value)) in (1..).zip(deployment.parameters) {
            form.push((format!("Parameters.member.{number}.ParameterKey"), name));
            form.push((format!("Parameters.member.{number}.ParameterValue"), value));
        }
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        match self.call(action, &form).await? {
            Answer::Done(_) => {}
            Answer::Refused(reason) if reason.contains("No updates are to be performed") => {}
            Answer::Refused(reason) => bail!("the emulator refuses template.yaml: {reason}"),
        }
        self.settled(deployment.stack).await
    }

    async fn delete(&self, stack: &str) -> anyhow::Result<()> {
        if let Answer::Refused(reason) = self.call("DeleteStack", &[("StackName", stack)]).await? {
            bail!("cannot delete the failed stack {stack}: {reason}");
        }
        let started = Instant::now();
        while self
            .describe(stack)
            .await?
            .is_some_and(|stack| stack.status != "DELETE_COMPLETE")
        {
            if started.elapsed() > PATIENCE {
                bail!(
                    "the failed stack {stack} is still there after {} s",
                    PATIENCE.as_secs()
                );
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    async fn settled(&self, stack: &str) -> anyhow::Result<Stack> {
        let started = Instant::now();
        loop {
            let now = self
                .describe(stack)
                .await?
                .with_context(|| format!("the stack {stack} is gone"))?;
            if now.is_healthy() {
                return Ok(now);
            }
            if !now.status.ends_with("_IN_PROGRESS") {
                bail!(
                    "template.yaml does not deploy to the emulator ({}): {}",
                    now.status,
                    self.reasons(stack).await
                );
            }
            if started.elapsed() > PATIENCE {
                bail!(
                    "template.yaml is still {} after {} s",
                    now.status,
                    PATIENCE.as_secs()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Why resources failed, as far as the emulator says.
    async fn reasons(&self, stack: &str) -> String {
        match self.call("DescribeStackEvents", &[("StackName", stack)]).await {
            Ok(Answer::Done(xml)) => elements(&xml, "member")
                .filter(|event| elements(event, "ResourceStatus").any(|status| status.ends_with("_FAILED")))
                .filter_map(|event| {
                    let resource = elements(event, "LogicalResourceId").next()?;
                    let reason = elements(event, "ResourceStatusReason").next()?;
                    Some(format!("{resource}: {}", unescape(reason)))
                })
                .collect::<Vec<_>>()
                .join("; "),
            Ok(Answer::Refused(reason)) => reason,
            Err(error) => error.to_string(),
        }
    }

    async fn call(&self, action: &str, form: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let fixed = [("Action", action), ("Version", VERSION)];
        let url = reqwest::Url::parse_with_params(&self.endpoint, fixed.iter().chain(form))?;
        // The emulator takes account and region from the header and does not check the signature.
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20260101/{REGION}/cloudformation/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        let answer = self
            .http
            .post(&self.endpoint)
            .header("authorization", authorization)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(url.query().unwrap_or_default().to_owned())
            .send()
            .await
            .with_context(|| format!("{action} did not reach the emulator"))?;
        let done = answer.status().is_success();
        let xml = answer.text().await?;
        if done {
            return Ok(Answer::Done(xml));
        }
        Ok(Answer::Refused(
            elements(&xml, "Message").next().map_or(xml.clone(), unescape),
        ))
    }
}

enum Answer {
    Done(String),
    Refused(String),
}

fn read_stack(xml: &str) -> anyhow::Result<Stack> {
    let status = elements(xml, "StackStatus")
        .next()
        .context("DescribeStacks answers without a status")?;
    let pairs = |list: &str, key: &str, value: &str| {
        elements(xml, list)
            .flat_map(|list| elements(list, "member"))
            .filter_map(|member| {
                Some((
                    unescape(elements(member, key).next()?),
                    unescape(elements(member, value).next()?),
                ))
            })
            .collect()
    };
    Ok(Stack {
        status: status.to_owned(),
        outputs: pairs("Outputs", "OutputKey", "OutputValue"),
        tags: pairs("Tags", "Key", "Value"),
    })
}

/// The texts inside `<name>…</name>`, in order; an element does not contain its own name in these answers.
fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (inside, after) = after.split_once(&close)?;
        rest = after;
        Some(inside)
    })
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_read_with_its_outputs_and_tags() {
        let xml = "<Stacks><member><StackStatus>CREATE_COMPLETE</StackStatus><Outputs>\
            <member><OutputKey>QueueUrl</OutputKey><OutputValue>http://a/q?b&amp;c</OutputValue></member>\
            <member><OutputKey>TableName</OutputKey><OutputValue>t</OutputValue></member></Outputs>\
            <Tags><member><Key>template</Key><Value>abc</Value></member></Tags></member></Stacks>";
        let stack = read_stack(xml).unwrap();
        assert!(stack.is_healthy());
        assert_eq!(stack.outputs["QueueUrl"], "http://a/q?b&c");
        assert_eq!(
            (
                stack.outputs["TableName"].as_str(),
                stack.tags["template"].as_str()
            ),
            ("t", "abc")
        );
    }

    #[test]
    fn an_answer_without_a_stack_is_an_error_and_not_an_empty_stack() {
        assert!(read_stack("<DescribeStacksResult/>").is_err());
    }
}
