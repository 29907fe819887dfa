//! From an open transport to a server that knows the client (operations.md, sections 1.2 and 1.3).

use std::time::Duration;

use lampyris_transport::crypto::{EXPONENT_BYTES, KEY_BYTES, KeyExchange, PayloadCipher};
use lampyris_wire::{OperationResponse, Parameters, Value};
use rand::RngExt as _;

use crate::client::{Next, Role, Step};
use crate::codes::{key, operation};
use crate::connection::{Mode, key_exchange_request, public_key};
use crate::{AuthMode, Client, DisconnectCause, Error, Event, ServerAddress};

/// Payload encryption, the one mode that is asked for.
const ENCRYPT_PAYLOAD: u8 = 0;

/// Place of the secret in the encryption data.
const SECRET: u8 = 1;

impl Client {
    /// Whether this server is told the token by the init.
    fn token_opens(&self) -> bool {
        self.config.auth_mode() == AuthMode::AuthOnce && self.server != Role::NameServer
    }

    /// The token for the init of this server.
    pub(crate) fn init_token(&self) -> Option<Value> {
        self.identity.token.clone().filter(|_| self.token_opens())
    }

    /// The transport is open: authenticates, or exchanges keys first.
    pub(crate) fn transport_open(&mut self, now: Duration) {
        let token_opens = self.token_opens();
        let Some(connection) = &mut self.connection else { return };
        connection.opened(now);
        let secure = connection.is_secure();
        let result = if token_opens {
            self.step = Step::Authenticating;
            self.use_secret()
        } else if secure {
            self.authenticate(now)
        } else {
            let exponent: [u8; EXPONENT_BYTES] = self.next_rng().random();
            let exchange = Box::new(KeyExchange::new(&exponent));
            let request = key_exchange_request(exchange.public_key());
            self.step = Step::KeyExchange(exchange);
            self.send_request(now, Mode::PLAIN, true, request).map_err(cause_of)
        };
        if let Err(cause) = result {
            self.leave_server(now, Next::Disconnect(cause));
        }
    }

    /// Takes the key that came with the token.
    fn use_secret(&mut self) -> Result<(), DisconnectCause> {
        let (Some(Value::ByteArray(secret)), Some(connection)) = (&self.identity.secret, &mut self.connection) else {
            return Ok(());
        };
        let cipher = PayloadCipher::from_pre_shared(secret);
        connection.cipher = Some(cipher.map_err(|error| DisconnectCause::Violation(error.to_string()))?);
        Ok(())
    }

    pub(crate) fn internal_response(&mut self, now: Duration, response: &OperationResponse) {
        match response.code {
            operation::PING => {
                if let Some(connection) = &mut self.connection {
                    connection.pong(now, response);
                }
            }
            operation::INIT_ENCRYPTION => {
                if let Err(cause) = self.finish_key_exchange(now, response) {
                    self.leave_server(now, Next::Disconnect(cause));
                }
            }
            _ => {}
        }
    }

    fn finish_key_exchange(&mut self, now: Duration, response: &OperationResponse) -> Result<(), DisconnectCause> {
        let violation = |text: String| DisconnectCause::Violation(text);
        let exchange = match std::mem::replace(&mut self.step, Step::Authenticating) {
            Step::KeyExchange(exchange) => exchange,
            step => {
                self.step = step;
                return Err(violation("expected no public key now".to_owned()));
            }
        };
        let key = public_key(response)
            .ok_or_else(|| violation(format!("expected a public key, found return code {}", response.return_code)))?;
        let cipher = exchange.finish(key).map_err(|error| violation(error.to_string()))?;
        if let Some(connection) = &mut self.connection {
            connection.cipher = Some(cipher);
        }
        self.authenticate(now)
    }

    fn authenticate(&mut self, now: Duration) -> Result<(), DisconnectCause> {
        self.step = Step::Authenticating;
        let token = self.identity.token.clone().filter(|_| self.server != Role::NameServer);
        let (mode, code, parameters) = match token {
            Some(token) => (Mode::PLAIN, operation::AUTHENTICATE, Parameters::new().with(key::TOKEN, token)),
            None => {
                let once = self.server == Role::NameServer && self.config.auth_mode() == AuthMode::AuthOnce;
                let code = if once { operation::AUTHENTICATE_ONCE } else { operation::AUTHENTICATE };
                (Mode::SECRET, code, self.introduction(once))
            }
        };
        self.send(now, mode, code, parameters).map_err(cause_of)
    }

    /// Who the client says it is.
    fn introduction(&self, once: bool) -> Parameters {
        let config = &self.config;
        let mut parameters = Parameters::new()
            .with(key::APPLICATION_ID, config.application.as_str())
            .with(key::APP_VERSION, config.app_version.as_str());
        if self.server == Role::NameServer {
            parameters.insert(key::REGION, config.region.as_str());
        }
        if let Some(user_id) = &config.user_id {
            parameters.insert(key::USER_ID, user_id.as_str());
        }
        if let Some(credentials) = &config.credentials {
            parameters.insert(key::CLIENT_AUTHENTICATION_TYPE, credentials.kind);
            parameters.insert(key::CLIENT_AUTHENTICATION_PARAMETERS, credentials.parameters.as_str());
            if let Some(data) = &credentials.data {
                parameters.insert(key::CLIENT_AUTHENTICATION_DATA, data.clone());
            }
        }
        if once {
            parameters.insert(key::EXPECTED_PROTOCOL, config.transport.code());
            parameters.insert(key::ENCRYPTION_MODE, ENCRYPT_PAYLOAD);
        }
        parameters
    }

    /// The server said who we are, or that it does not want us.
    pub(crate) fn authenticated(&mut self, now: Duration, response: &OperationResponse) {
        if response.return_code != 0 {
            let cause = DisconnectCause::Refused {
                operation: response.code,
                code: response.return_code,
                message: response.debug_message.clone().unwrap_or_default(),
            };
            return self.leave_server(now, Next::Disconnect(cause));
        }
        if let Some(Value::String(user_id)) = response.parameters.get(key::USER_ID)
            && self.server != Role::Game
        {
            self.identity.user_id = Some(user_id.clone());
        }
        match self.server {
            Role::NameServer => {
                self.identity.secret = secret_of(&response.parameters);
                let next = match self.address_in(&response.parameters) {
                    Ok(address) => Next::Connect(Role::Master, Box::new(address)),
                    Err(cause) => Next::Disconnect(cause),
                };
                self.leave_server(now, next);
            }
            Role::Master => {
                self.ready();
                self.events.push_back(Event::ConnectedToMaster);
                self.events.extend(self.refused.take().map(|event| *event));
            }
            Role::Game => {
                self.ready();
                self.enter_on_game(now);
            }
        }
    }

    /// The address of the next server.
    pub(crate) fn address_in(&self, parameters: &Parameters) -> Result<ServerAddress, DisconnectCause> {
        match parameters.get(key::ADDRESS) {
            Some(Value::String(text)) => Ok(ServerAddress::parse(text, self.config.transport)?),
            _ => Err(DisconnectCause::Violation("expected the address of the next server".to_owned())),
        }
    }
}

/// The key for payload encryption in an answer of the NameServer.
fn secret_of(parameters: &Parameters) -> Option<Value> {
    let Some(Value::Dictionary(data)) = parameters.get(key::ENCRYPTION_DATA) else { return None };
    let secret = data.entries.get(&Value::Byte(SECRET))?;
    matches!(secret, Value::ByteArray(bytes) if bytes.len() == KEY_BYTES).then(|| secret.clone())
}

/// A request of the login could not be sent: the configuration's fault, or the transport's.
pub(crate) fn cause_of(error: Error) -> DisconnectCause {
    match error {
        Error::Encode(error) => DisconnectCause::Config(error),
        other => DisconnectCause::Violation(other.to_string()),
    }
}
