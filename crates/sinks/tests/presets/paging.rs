//! Services that wake people.

use super::*;

#[tokio::test]
async fn pagerduty_gets_one_alert_for_an_incident_and_resolves_it() {
    let receiver = Receiver::new(|_, _| taken("pagerduty"));
    let mut sink = sink("pagerduty", keys("pagerduty", &receiver.url()));
    let batch =
        [news(&OPENED, &hostile()), news(&UPDATED, "root"), news(&CLOSED, "root"), login(1, "a", "b")];
    sink.once(&batch).await.unwrap();
    let bodies: Vec<_> = (0..4).map(|number| json_of(&receiver.request(number))).collect();
    let actions: Vec<_> = bodies.iter().map(|body| body["event_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["trigger", "trigger", "resolve", "trigger"]);
    assert!(bodies[..3].iter().all(|body| body["dedup_key"] == "haldane-canary-1-17"));
    assert_ne!(bodies[3]["dedup_key"], bodies[0]["dedup_key"]);
    for body in &bodies {
        assert_eq!(body["routing_key"], "s3cr3t");
        assert!((1..=255).contains(&units(&body["dedup_key"])));
        let payload = &body["payload"];
        assert!((1..=1024).contains(&units(&payload["summary"])));
        assert!(units(&payload["source"]) > 0);
        assert!(["critical", "error", "warning", "info"].contains(&payload["severity"].as_str().unwrap()));
        assert!(payload["custom_details"].is_object());
        assert!(body.to_string().len() < 512 * 1024);
    }
    assert_eq!(receiver.request(0).line, "POST /v2/enqueue HTTP/1.1");
}

#[tokio::test]
async fn an_alert_is_not_resolved_where_the_operator_wants_to_do_that() {
    let receiver = Receiver::new(|_, _| taken("pagerduty"));
    let mut keys = keys("pagerduty", &receiver.url());
    keys["resolve"] = json!(false);
    sink("pagerduty", keys).once(&[news(&CLOSED, "root")]).await.unwrap();
    assert_eq!(json_of(&receiver.request(0))["event_action"], "trigger");
}

#[tokio::test]
async fn opsgenie_gets_one_alert_for_an_incident_and_closes_it() {
    let receiver = Receiver::new(|_, _| taken("opsgenie"));
    let mut sink = sink("opsgenie", keys("opsgenie", &receiver.url()));
    sink.once(&[news(&OPENED, &hostile()), news(&CLOSED, &hostile()), login(1, &hostile(), "b")])
        .await
        .unwrap();
    let lines: Vec<_> = (0..3).map(|number| receiver.request(number).line).collect();
    let expected = [
        "POST /v2/alerts HTTP/1.1",
        "POST /v2/alerts/haldane-canary-1-17/close?identifierType=alias HTTP/1.1",
        "POST /v2/alerts HTTP/1.1",
    ];
    assert_eq!(lines, expected);
    for number in [0, 2] {
        let request = receiver.request(number);
        assert_eq!(request.header("authorization"), Some("GenieKey s3cr3t"));
        let body = json_of(&request);
        assert!((1..=130).contains(&units(&body["message"])));
        assert!((1..=512).contains(&units(&body["alias"])));
        assert!(units(&body["description"]) <= 15_000 && units(&body["source"]) <= 100);
        assert!(units(&body["entity"]) <= 512);
        assert!(body["details"].as_object().unwrap().values().all(Value::is_string));
        assert!(body["tags"].as_array().unwrap().iter().all(|tag| units(tag) <= 50));
        assert_eq!(body["priority"], "P2");
    }
    assert_eq!(json_of(&receiver.request(0))["alias"], "haldane-canary-1-17");
    assert!(units(&json_of(&receiver.request(1))["note"]) <= 25_000);
}
