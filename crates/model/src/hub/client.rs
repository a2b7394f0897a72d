//! Requests to the hub: the token to nobody else, redirects followed by hand, failures that pass tried again.

use std::{path::Path, thread, time::Duration};

use ureq::{Agent, Body, http::Response};

use super::{HubOptions, id::ModelId};
use crate::{ModelError, folder::similar_folder};

/// Attempts for one request or one file.
pub(super) const ATTEMPTS: u32 = 5;
const REDIRECTS: usize = 10;
const CONNECT: Duration = Duration::from_secs(15);
/// Longest silence before a connection counts as dead.
const SILENCE: Duration = Duration::from_secs(60);

/// What to ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Headers of the hub itself: redirects to other hosts are not followed.
    Head,
    /// A body, from this byte on, wherever it lies.
    Get { from: u64 },
}

/// A connection to one hub about one model.
pub(super) struct Client<'a> {
    agent: Agent,
    pub(super) options: &'a HubOptions,
    pub(super) id: &'a ModelId,
}

/// A failure, and whether another attempt may help.
pub(super) struct Failure {
    pub(super) error: Box<ModelError>,
    pub(super) passing: bool,
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self {
            error: Box::new(error),
            passing: false,
        }
    }
}

impl Failure {
    /// A failure that another attempt may not meet.
    pub(super) fn passing(error: ModelError) -> Self {
        Self {
            error: Box::new(error),
            passing: true,
        }
    }
}

impl<'a> Client<'a> {
    pub(super) fn new(options: &'a HubOptions, id: &'a ModelId) -> Self {
        let mut config = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .user_agent(concat!("matryo/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&options.endpoint) {
            config = config.proxy(None);
        }
        Self {
            agent: config.build().new_agent(),
            options,
            id,
        }
    }

    /// Runs `attempt` until it succeeds, fails for good, or has failed too often.
    pub(super) fn retry<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, ModelError> {
        let mut wait = self.options.backoff;
        for _ in 1..ATTEMPTS {
            match attempt() {
                Ok(value) => return Ok(value),
                Err(failure) if !failure.passing => return Err(*failure.error),
                Err(_) => thread::sleep(wait),
            }
            wait *= 2;
        }
        attempt().map_err(|failure| *failure.error)
    }

    /// One request, redirects followed; a status that is neither success nor "range not satisfiable" is an error.
    pub(super) fn request(&self, url: &str, method: Method) -> Result<Response<Body>, Failure> {
        let mut url = url.to_owned();
        for _ in 0..REDIRECTS {
            let response = self.send(&url, method)?;
            let Some(location) = redirect(&response) else {
                return self.check(&url, response);
            };
            let relative = location.starts_with('/');
            if method == Method::Head && !relative {
                return Ok(response);
            }
            url = if relative {
                format!("{}{location}", origin(&url))
            } else {
                location
            };
        }
        Err(self.bad_response(&url, "too many redirects").into())
    }

    fn send(&self, url: &str, method: Method) -> Result<Response<Body>, Failure> {
        let mut request = match method {
            Method::Head => self.agent.head(url),
            Method::Get { .. } => self.agent.get(url),
        };
        // Compressed transfers would make sizes and ranges those of something else.
        request = request.header("accept-encoding", "identity");
        if let (Some(token), true) = (
            &self.options.token,
            origin(url) == origin(&self.options.endpoint),
        ) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Method::Get { from: from @ 1.. } = method {
            request = request.header("range", format!("bytes={from}-"));
        }
        request
            .call()
            .map_err(|source| Failure::passing(network(url, source)))
    }

    fn check(&self, url: &str, response: Response<Body>) -> Result<Response<Body>, Failure> {
        let status = response.status().as_u16();
        match status {
            200..=299 | 416 => Ok(response),
            401 | 403 | 404 => Err(self.refused(status, &response).into()),
            _ => {
                let error = ModelError::HubStatus {
                    url: url.to_owned(),
                    status,
                };
                Err(Failure {
                    passing: status == 429 || status >= 500,
                    ..Failure::from(error)
                })
            }
        }
    }

    /// The hub answers 401, not 404, for models that do not exist, and says so in a header.
    fn refused(&self, status: u16, response: &Response<Body>) -> ModelError {
        let code = header(response, "x-error-code").unwrap_or_default();
        let (name, revision) = (self.id.name.clone(), self.id.revision.clone());
        let endpoint = self.options.endpoint.clone();
        let has_token = self.options.token.is_some();
        match (status, code) {
            (401 | 403, code) if code != "RepoNotFound" => ModelError::HubDenied {
                name,
                endpoint,
                status,
                gated: code == "GatedRepo",
                has_token,
            },
            _ => {
                let similar = similar_folder(Path::new(&name));
                ModelError::HubNotFound {
                    name,
                    revision,
                    endpoint,
                    similar,
                }
            }
        }
    }

    pub(super) fn bad_response(&self, url: &str, problem: &'static str) -> ModelError {
        ModelError::HubResponse {
            url: url.to_owned(),
            problem,
        }
    }
}

/// A header as text.
pub(super) fn header<'r>(response: &'r Response<Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

fn redirect(response: &Response<Body>) -> Option<String> {
    let redirects = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    header(response, "location")
        .filter(|_| redirects)
        .map(str::to_owned)
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |i| i + 3);
    url[host..]
        .find(['/', '?', '#'])
        .map_or(url, |end| &url[..host + end])
}

/// A proxy cannot reach the machine's own servers.
fn is_loopback(endpoint: &str) -> bool {
    let host = origin(endpoint).rsplit("//").next().unwrap_or_default();
    ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .any(|own| host.starts_with(own))
}

fn network(url: &str, source: ureq::Error) -> ModelError {
    ModelError::HubNetwork {
        url: url.to_owned(),
        source: Box::new(source),
    }
}
