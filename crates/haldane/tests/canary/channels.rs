//! Services over HTTP, from a decoy to what they are told.

use crate::{
    fixture::{Canary, file, free_port, redis_login, until},
    receivers::{Answer, web},
};

#[test]
fn a_login_reaches_a_chat_masked_and_a_store_of_logs_by_the_type_of_each() {
    let (port, chat, logs) = (free_port(), free_port(), free_port());
    let (chat_box, log_box) = (web(chat, |_| Answer::Status(200)), web(logs, |_| Answer::Status(204)));
    let sinks = format!(
        "[sink.people]\ntype = \"mattermost\"\nurl = \"http://127.0.0.1:{chat}/hooks/x\"\n\
         [sink.loki]\nurl = \"http://127.0.0.1:{logs}\"\nmask = false\n"
    );
    let canary = Canary::start(&format!("[service.redis]\nport = {port}\n{sinks}"));
    assert!(redis_login(port, "root@everyone", "hunter2"));
    until("the chat", || chat_box.count("everyone") == 1);
    until("the store of logs", || log_box.count("hunter2") >= 1);
    let told = chat_box.all().join("\n");
    assert!(!told.contains("hunter2") && !told.contains("root@everyone"), "{told}");
    let config = file(&canary, "haldane.toml").to_str().unwrap().to_owned();
    let shown = canary.haldane(&["test-alert", "people", "--config", &config]);
    assert!(shown.contains("people (mattermost): delivered"), "{shown}");
}
