//! Receivers that keep data: batches, and what a peer sent as it was.

use haldane_sinks::Failure;

use super::*;

fn lines(request: &Request) -> Vec<Value> {
    assert!(request.body.ends_with('\n'), "{}", request.body);
    request.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn three() -> Vec<Record> {
    vec![login(1, &hostile(), "a"), login(2, "root", b"\xff\x00"), login(3, "root", "c")]
}

#[tokio::test]
async fn splunk_gets_a_batch_as_objects_one_after_the_other() {
    let receiver = Receiver::new(|_, _| taken("splunk"));
    let mut keys = keys("splunk", &receiver.url());
    keys["index"] = json!("canaries");
    sink("splunk", keys).once(&three()).await.unwrap();
    assert_eq!(receiver.count(), 1);
    let request = receiver.request(0);
    assert_eq!(request.line, "POST /services/collector/event HTTP/1.1");
    assert_eq!(request.header("authorization"), Some("Splunk s3cr3t"));
    assert_eq!(request.header("x-splunk-request-channel"), None);
    let events = lines(&request);
    assert_eq!(events.len(), 3);
    assert!((events[0]["time"].as_f64().unwrap() - 1_795_000_000.123).abs() < 0.001);
    assert_eq!(events[0]["event"]["credential"]["username"], hostile());
    assert_eq!(events[0]["index"], "canaries");
    let known = ["time", "host", "source", "sourcetype", "index", "event", "fields"];
    assert!(
        events
            .iter()
            .flat_map(|event| event.as_object().unwrap().keys())
            .all(|key| known.contains(&key.as_str()))
    );
}

#[tokio::test]
async fn with_acknowledgment_an_event_is_delivered_once_splunk_says_that_it_is_indexed() {
    let receiver = Receiver::new(|request, before| match (request.line.contains("/ack?"), before) {
        (false, _) => ("200 OK".into(), r#"{"text":"Success","code":0,"ackId":7}"#),
        (true, 1) => ("200 OK".into(), r#"{"acks":{"7":false}}"#),
        (true, _) => ("200 OK".into(), r#"{"acks":{"7":true}}"#),
    });
    let mut keys = keys("splunk", &receiver.url());
    keys["ack"] = json!(true);
    sink("splunk", keys).once(&three()).await.unwrap();
    assert_eq!(receiver.count(), 3);
    let channel = receiver.request(0).header("x-splunk-request-channel").unwrap().to_owned();
    assert!(uuid::Uuid::parse_str(&channel).is_ok());
    assert_eq!(receiver.request(1).line, format!("POST /services/collector/ack?channel={channel} HTTP/1.1"));
    assert_eq!(json_of(&receiver.request(1)), json!({ "acks": [7] }));
    assert_eq!(receiver.request(1).header("authorization"), Some("Splunk s3cr3t"));
}

#[tokio::test]
async fn without_acknowledgment_in_time_it_is_sent_again() {
    let receiver = Receiver::new(|request, _| match request.line.contains("/ack?") {
        false => ("200 OK".into(), r#"{"text":"Success","code":0,"ackId":7}"#),
        true => ("200 OK".into(), r#"{"acks":{"7":false}}"#),
    });
    let mut keys = keys("splunk", &receiver.url());
    (keys["ack"], keys["timeout"]) = (json!(true), json!("1s"));
    let result = sink("splunk", keys).once(&three()).await;
    assert!(
        matches!(&result, Err(Failure::Later { why, .. }) if why.contains("not confirmed")),
        "{result:?}"
    );
}

#[tokio::test]
async fn elasticsearch_gets_two_lines_for_each_event_under_its_id() {
    let receiver = Receiver::new(|_, _| taken("elasticsearch"));
    let mut keys = keys("elasticsearch", &receiver.url());
    keys["api_key"] = json!("s3cr3t==");
    sink("elasticsearch", keys.clone()).once(&three()).await.unwrap();
    let request = receiver.request(0);
    assert!(request.line.starts_with("POST /haldane/_bulk?filter_path="), "{}", request.line);
    assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(request.header("authorization"), Some("ApiKey s3cr3t=="));
    let lines = lines(&request);
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[0], json!({ "create": { "_id": "01935aad-0000-7000-8000-000000000001" } }));
    assert!(lines[1]["@timestamp"].as_str().unwrap().starts_with("2026-11-"));
    assert_eq!(lines[1]["event"]["category"][0], "authentication");
    assert!(lines[1]["haldane"]["credential"]["username"] == hostile());
    keys["format"] = json!("native");
    sink("elasticsearch", keys).once(&three()).await.unwrap();
    let lines = self::lines(&receiver.request(1));
    assert_eq!(lines.len(), 6);
    assert!(lines[1]["@timestamp"].as_str().unwrap().starts_with("2026-11-"));
    assert!(lines[1]["haldane"]["credential"]["username"] == hostile());
}

#[tokio::test]
async fn an_event_is_written_in_the_format_that_is_asked_for() {
    let receiver = Receiver::new(|_, _| taken("splunk"));
    for format in ["compatible", "ocsf", "cef", "text"] {
        let mut keys = keys("splunk", &receiver.url());
        keys["format"] = json!(format);
        sink("splunk", keys).once(&three()).await.unwrap();
    }
    let event = |number| lines(&receiver.request(number))[0]["event"].clone();
    assert!(event(0)["logdata"]["USERNAME"] == hostile());
    assert!(event(1)["class_uid"].is_number(), "{}", event(1));
    assert!(event(2).as_str().unwrap().starts_with("CEF:0|"), "{}", event(2));
    assert!(event(3).as_str().unwrap().contains("FTP login"), "{}", event(3));
    let (_, _, problems) = configured("splunk", json!({ "url": "http://x", "token": "x", "format": "xml" }));
    assert!(problems[0].to_string().contains("expected one of \"native\""), "{problems:?}");
}

#[tokio::test]
async fn errors_of_single_documents_in_an_answer_of_200_are_seen() {
    let cases = [
        // Sent again after a break: there already.
        (r#"{"errors":true,"items":[{"create":{"status":409}},{"create":{"status":201}}]}"#, None),
        (
            r#"{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":400,"error":{"type":"document_parsing_exception","reason":"failed to parse field [x]"}}}]}"#,
            Some(("failed to parse field [x]", true)),
        ),
        (
            r#"{"errors":true,"items":[{"create":{"status":400,"error":{"reason":"a"}}},{"create":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"rejected execution"}}}]}"#,
            Some(("answered 200 OK", false)),
        ),
        (
            r#"{"errors":true,"items":[{"create":{"status":404,"error":{"reason":"no such index [haldane]"}}}]}"#,
            Some(("no such index", false)),
        ),
        (r#"{"errors":false,"items":[{"create":{"status":201}}]}"#, None),
    ];
    for (body, expected) in cases {
        let receiver = Receiver::new(move |_, _| ("200 OK".into(), body));
        let result = sink("elasticsearch", keys("elasticsearch", &receiver.url())).once(&three()).await;
        match (result, expected) {
            (Ok(()), None) => {}
            (Err(Failure::Refused(why)), Some((words, true))) => assert!(why.contains(words), "{why}"),
            (Err(Failure::Later { why, .. }), Some((words, false))) => assert!(why.contains(words), "{why}"),
            (result, expected) => panic!("{result:?} instead of {expected:?} for {body}"),
        }
    }
}

#[tokio::test]
async fn a_document_that_is_refused_is_buried_alone_and_the_rest_arrives() {
    let receiver = Receiver::new(|request, _| match request.body.contains("user-2") {
        true => (
            "200 OK".into(),
            r#"{"errors":true,"items":[{"create":{"status":400,"error":{"reason":"bad"}}}]}"#,
        ),
        false => taken("elasticsearch"),
    });
    let records = (1..=4).map(|number| login(number, &format!("user-{number}"), "b")).collect();
    let store = receivers::run("elasticsearch", keys("elasticsearch", &receiver.url()), records).await;
    let buried = store.buried.lock().unwrap();
    assert_eq!(buried.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [2]);
    assert!(buried[0].1.contains("bad"), "{}", buried[0].1);
    // All at once, then one by one.
    assert_eq!(receiver.count(), 5);
}

#[tokio::test]
async fn loki_gets_streams_of_few_labels_with_times_as_text() {
    let receiver = Receiver::new(|_, _| taken("loki"));
    let mut keys = keys("loki", &receiver.url());
    keys["tenant"] = json!("t1");
    sink("loki", keys).once(&three()).await.unwrap();
    let request = receiver.request(0);
    assert_eq!(request.line, "POST /loki/api/v1/push HTTP/1.1");
    assert_eq!(request.header("x-scope-orgid"), Some("t1"));
    let body = json_of(&request);
    let streams = body["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 3);
    for stream in streams {
        assert!(stream["stream"].as_object().unwrap().values().all(Value::is_string));
        assert_eq!(stream["values"][0][0], "1795000000123000000");
        let event: Value = serde_json::from_str(stream["values"][0][1].as_str().unwrap()).unwrap();
        assert_eq!(event["kind"], "ftp.login");
    }
}

#[tokio::test]
async fn graylog_gets_gelf_with_fields_of_its_own_that_are_text_or_numbers() {
    for record in [login(1, "root", "hunter2"), login(1, &hostile(), hostile()), news(&OPENED, &hostile())] {
        let request = sent("graylog", record).await;
        assert!(request.body.len() < 64 * 1024, "{}", request.body.len());
        let body = json_of(&request);
        assert_eq!(body["version"], "1.1");
        assert!(units(&body["host"]) > 0 && units(&body["short_message"]) > 0);
        assert!(body["timestamp"].is_number());
        assert!((0..=7).contains(&body["level"].as_i64().unwrap()));
        let known = ["version", "host", "short_message", "full_message", "timestamp", "level"];
        for (name, value) in
            body.as_object().unwrap().iter().filter(|(name, _)| !known.contains(&name.as_str()))
        {
            let right = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            assert!(name.starts_with('_') && name != "_id" && name.chars().all(right), "{name}");
            assert!(value.is_string() || value.is_number(), "{name}: {value}");
        }
        assert_eq!(body["_source_ip"], "192.0.2.7");
    }
}

#[tokio::test]
async fn the_largest_batch_is_within_what_a_template_may_compute() {
    let large = |number| {
        let mut record = login(number, "root", "x");
        let texts = vec![Fact::from("\u{1f600}".repeat(2048)); 8];
        Arc::make_mut(&mut record.event).fields.insert("large".into(), texts.into());
        record
    };
    let batch: Vec<_> = (1..=100).map(large).collect();
    for preset in ["splunk", "loki", "elasticsearch"] {
        let receiver = Receiver::new(move |_, _| taken(preset));
        sink(preset, keys(preset, &receiver.url())).once(&batch).await.unwrap();
        assert_eq!(receiver.count(), 1, "{preset}");
        assert!(receiver.request(0).body.len() > 6_000_000, "{preset}");
    }
}

#[test]
fn a_template_that_computes_for_ever_is_given_up() {
    let folder = receivers::Folder::new();
    let body = "'{% for a in range(9999) %}{% for b in range(9999) %}{{ a * b }}{% endfor %}{% endfor %}'";
    let preset = format!("about = \"x\"\nurl = \"http://x\"\ncontent = \"text\"\nbody = {body}\n");
    std::fs::write(folder.file("endless.toml"), preset).unwrap();
    let (all, problems) = haldane_sinks::registry(Some(&folder.0));
    assert!(problems.is_empty());
    let entry = all.iter().find(|entry| entry.name == "endless").unwrap();
    let (table, mut problems) = (haldane_core::Table::default(), Vec::new());
    let mut section = haldane_core::Section::new(&table, &mut problems);
    entry.build("endless", &mut section, &haldane_sinks::Sender { node: "n".into() });
    assert!(problems[0].to_string().contains("out of fuel"), "{problems:?}");
}
