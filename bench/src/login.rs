//! The way of a client from the NameServer over the Master into a room (operations.md, section 1.2).

use anyhow::{Context as _, Result, bail};
use lampyris_realtime::codes::{key, operation};
use lampyris_wire::{Limits, Message, OperationRequest, OperationResponse, Parameters, Protocol, Value};

use crate::connection::Address;

/// How far a client goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Its first connection is open.
    Opened,
    /// It is on the Master, in no lobby.
    OnMaster,
    /// It is in its room.
    InRoom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    NameServer,
    Master,
    Game,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    Wait,
    Send(Vec<u8>),
    /// Leave this server for that one.
    Connect(Address),
    /// The goal is reached.
    Done,
}

/// One client on its way.
#[derive(Debug)]
pub(crate) struct Login {
    goal: Goal,
    stage: Stage,
    user: String,
    room: String,
    token: Option<Value>,
}

impl Login {
    pub(crate) fn new(goal: Goal, user: String, room: String) -> Self {
        Self { goal, stage: Stage::NameServer, user, room, token: None }
    }

    /// The connection is open.
    pub(crate) fn opened(&self) -> Result<Step> {
        if self.goal == Goal::Opened {
            return Ok(Step::Done);
        }
        let parameters = match &self.token {
            Some(token) => Parameters::new().with(key::TOKEN, token.clone()),
            None => Parameters::new()
                .with(key::APPLICATION_ID, "bench")
                .with(key::APP_VERSION, "1")
                .with(key::REGION, "")
                .with(key::USER_ID, self.user.as_str()),
        };
        request(operation::AUTHENTICATE, parameters)
    }

    /// A message came.
    pub(crate) fn message(&mut self, message: &[u8]) -> Result<Step> {
        match Message::decode(Protocol::GpBinaryV18, message, &Limits::DEFAULT)? {
            Message::OperationResponse(response) => self.response(&response),
            Message::Disconnect(disconnect) => bail!("the server ends the connection: {disconnect:?}"),
            _ => Ok(Step::Wait),
        }
    }

    fn response(&mut self, response: &OperationResponse) -> Result<Step> {
        if response.return_code != 0 {
            bail!("{:?}: operation {} was refused: {response:?}", self.stage, response.code);
        }
        if let Some(token) = response.parameters.get(key::TOKEN) {
            self.token = Some(token.clone());
        }
        match (response.code, self.stage) {
            (operation::AUTHENTICATE, Stage::NameServer) => self.go_on(Stage::Master, response),
            (operation::AUTHENTICATE, Stage::Master) if self.goal == Goal::OnMaster => Ok(Step::Done),
            (operation::AUTHENTICATE, _) => {
                let parameters = Parameters::new()
                    .with(key::ROOM_NAME, self.room.as_str())
                    .with(key::JOIN_MODE, Value::Byte(CREATE_IF_NOT_EXISTS));
                request(operation::JOIN_GAME, parameters)
            }
            (operation::JOIN_GAME, Stage::Master) => self.go_on(Stage::Game, response),
            (operation::JOIN_GAME, _) => Ok(Step::Done),
            _ => Ok(Step::Wait),
        }
    }

    fn go_on(&mut self, stage: Stage, response: &OperationResponse) -> Result<Step> {
        let address = response.parameters.get(key::ADDRESS).and_then(Value::as_str);
        let address = address.with_context(|| format!("expected an address in the answer, got {response:?}"))?;
        self.stage = stage;
        Ok(Step::Connect(Address::parse(address)?))
    }
}

const CREATE_IF_NOT_EXISTS: u8 = 1;

fn request(code: u8, parameters: Parameters) -> Result<Step> {
    let mut message = Vec::new();
    Message::OperationRequest(OperationRequest { code, parameters }).encode(Protocol::GpBinaryV18, &mut message)?;
    Ok(Step::Send(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(code: u8, parameters: Parameters) -> Vec<u8> {
        let response = OperationResponse { code, return_code: 0, debug_message: None, parameters };
        let mut message = Vec::new();
        Message::OperationResponse(response).encode(Protocol::GpBinaryV18, &mut message).unwrap();
        message
    }

    #[test]
    fn a_client_goes_from_server_to_server_into_its_room() {
        let mut login = Login::new(Goal::InRoom, "user".to_owned(), "room".to_owned());
        assert!(matches!(login.opened().unwrap(), Step::Send(_)));
        let to = |port: u16| Parameters::new().with(key::ADDRESS, format!("127.0.0.1:{port}").as_str());
        let authenticated = response(operation::AUTHENTICATE, to(1).with(key::TOKEN, "a"));
        assert!(matches!(login.message(&authenticated).unwrap(), Step::Connect(address) if address.socket.port() == 1));
        assert!(matches!(login.message(&response(operation::AUTHENTICATE, to(9))).unwrap(), Step::Send(_)));
        let placed = response(operation::JOIN_GAME, to(2));
        assert!(matches!(login.message(&placed).unwrap(), Step::Connect(address) if address.socket.port() == 2));
        assert!(matches!(login.message(&response(operation::AUTHENTICATE, to(9))).unwrap(), Step::Send(_)));
        assert!(matches!(login.message(&placed).unwrap(), Step::Done));
    }
}
