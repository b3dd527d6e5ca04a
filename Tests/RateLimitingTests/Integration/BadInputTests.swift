import JSON
import TestSupport
import Testing

extension Integration {
    /// Bad input is answered with a problem document that names the field, and nothing is written.
    @Suite struct BadInputTests {
        /// A rule with one thing wrong, and the field that is to be named.
        private static let rules: [(String, String)] = [
            (#""strategy":5,"limit":1,"window":"1s""#, "strategy"),
            (#""strategy":"leaky_hose","limit":1,"window":"1s""#, "strategy"),
            (#""limit":1,"window":"1s""#, "strategy"),
            (#""strategy":"fixed_window","window":"1s""#, "limit"),
            (#""strategy":"fixed_window","limit":"5","window":"1s""#, "limit"),
            (#""strategy":"fixed_window","limit":-1,"window":"1s""#, "limit"),
            (#""strategy":"fixed_window","limit":0,"window":"1s""#, "limit"),
            (#""strategy":"fixed_window","limit":1.5,"window":"1s""#, "limit"),
            (#""strategy":"fixed_window","limit":9007199254740992,"window":"1s""#, "limit"),
            (#""strategy":"fixed_window","limit":1"#, "window"),
            (#""strategy":"fixed_window","limit":1,"window":0"#, "window"),
            (#""strategy":"fixed_window","limit":1,"window":60"#, "window"),
            (#""strategy":"fixed_window","limit":1,"window":999"#, "window"),
            (#""strategy":"fixed_window","limit":1,"window":"0s""#, "window"),
            (#""strategy":"fixed_window","limit":1,"window":"soon""#, "window"),
            (#""strategy":"fixed_window","limit":1,"window":-5"#, "window"),
            (#""strategy":"fixed_window","limit":1,"window":"1s","colour":"red""#, "colour"),
            (#""strategy":"fixed_window","limit":1,"window":"1s","match":{"path":"/"}"#, "match.path"),
            (#""strategy":"fixed_window","limit":1,"window":"1s","match":{"endpoint":"x"}"#, "match.endpoint"),
            (#""strategy":"fixed_window","limit":1,"window":"1s","per":["moon"]"#, "per"),
            (#""strategy":"fixed_window","limit":1,"window":"1s","per":[]"#, "per"),
            (#""strategy":"fixed_window","limit":1,"window":"1s","onStoreFailure":"maybe""#, "onStoreFailure"),
            (#""strategy":"fixed_window","limit":1,"window":"1s","enabled":1"#, "enabled"),
            (#""strategy":"fixed_window","limit":1,"window":"1s","mode":"quiet""#, "mode"),
            (#""strategy":"sliding_window","limit":100000,"window":"1s""#, "limit"),
            (#""strategy":"sliding_window_counter","limit":9007199254740991,"window":"365d""#, "limit"),
            (#""strategy":"token_bucket","limit":9007199254740991,"window":"365d""#, "limit"),
            (#""strategy":"token_bucket","limit":1,"window":"1s","burst":0"#, "burst"),
            (#""strategy":"token_bucket","limit":1,"window":"1s","burst":2,"initial":3"#, "initial"),
            (#""strategy":"quota","limit":1,"period":"fortnight""#, "period"),
            (#""strategy":"quota","limit":1"#, "period"),
            (#""strategy":"quota","limit":1,"period":"day","timeZone":"Mars/Olympus""#, "timeZone"),
            (#""strategy":"quota","limit":1,"period":"day","timeZone":"../../etc/passwd""#, "timeZone"),
            (#""strategy":"concurrency","limit":1"#, "maxLeaseMs"),
            (#""action":"deny","limit":5"#, "limit"),
            (#""action":"deny","match":{"identifier":["10.0.0.0/8","10.0.0.0/99"]}"#, "match.identifier[1]"),
            (#""action":"deny","match":{"identifier":"192.168.*"}"#, "match.identifier"),
        ]

        private static let checks: [(String, String)] = [
            (#"{}"#, "identifier"),
            (#"{"identifier":""}"#, "identifier"),
            (#"{"identifier":5}"#, "identifier"),
            (#"{"identifier":"a\u0000b"}"#, "identifier"),
            (#"{"identifier":"ann","cost":0}"#, "cost"),
            (#"{"identifier":"ann","cost":-1}"#, "cost"),
            (#"{"identifier":"ann","cost":1.5}"#, "cost"),
            (#"{"identifier":"ann","cost":1e-1}"#, "cost"),
            (#"{"identifier":"ann","cost":1e300}"#, "cost"),
            (#"{"identifier":"ann","cost":1,"cost":1}"#, "cost"),
            (#"{"identifier":"ann","cost":1,"c\u006fst":2}"#, "cost"),
            (#"{"identifier":"ann","apiKey":"k","identifier":"bob"}"#, "identifier"),
            (#"{"identifier":"ann","cost":"1"}"#, "cost"),
            (#"{"identifier":"ann","cost":9007199254740992}"#, "cost"),
            (#"{"identifier":"ann","colour":"red"}"#, "colour"),
            (#"{"identifier":"ann","peek":1}"#, "peek"),
            (#"{"ip":"1.2.3"}"#, "ip"),
        ]

        private func expectProblem(_ answer: HTTPAnswer, _ status: Int, field: String? = nil, _ what: String) {
            #expect(answer.status == status, "\(what): \(answer.text)")
            #expect(answer.header("Content-Type") == "application/problem+json", "\(what)")
            #expect(answer["status"]?.int == status, "\(what)")
            #expect(answer["title"]?.string?.isEmpty == false && answer["type"]?.string?.isEmpty == false, "\(what)")
            #expect(answer["detail"] == answer["error"] && answer["detail"] != nil, "\(what)")
            #expect(answer["field"]?.string == field, "\(what): \(answer.text)")
        }

        @Test func namedAndNotWritten() throws {
            let redis = try RedisServer()
            let server = try TestServer(redis: redis)
            try server.rule(#"{"name":"good","strategy":"fixed_window","limit":5,"window":"1d"}"#)
            // Both are written when it suits the server, the audit log after the rule's answer.
            let late = ["replicas", "audit"].map { server.prefix + $0 }
            #expect(blockingUntil { (try? redis.redis("EXISTS", late[0], late[1])) == "2" })
            let before = try redis.redis("HGETALL", server.prefix + "ratelimit:{rules}:rules")
            let keys = try redis.redis("DBSIZE")
            let connection = try server.connect()
            for (rule, field) in Self.rules {
                let body = "{\"name\":\"bad\",\(rule)}"
                for (method, target) in [("POST", "/api/rate-limits"), ("PUT", "/api/rate-limits/good")] {
                    let answer = try connection.request(method, target, body: body)
                    expectProblem(answer, 400, field: field, "\(method) \(body)")
                }
                let simulated = try connection.request(
                    "POST", "/api/rate-limits/simulate", body: "{\"rule\":\(body),\"requests\":[{}]}")
                expectProblem(simulated, 400, field: "rule." + field, "simulate \(body)")
            }
            for (check, field) in Self.checks {
                let answer = try connection.request("POST", "/api/rate-limits/check", body: check)
                expectProblem(answer, 400, field: field, check)
                let bulk = try connection.request(
                    "POST", "/api/rate-limits/check/bulk", body: "[{\"identifier\":\"ann\"},\(check)]")
                expectProblem(bulk, 400, field: "checks[1]." + field, "bulk \(check)")
            }
            #expect(try redis.redis("HGETALL", server.prefix + "ratelimit:{rules}:rules") == before)
            #expect(try redis.redis("GET", server.prefix + "ratelimit:{rules}:revision") == "1")
            #expect(try redis.redis("DBSIZE") == keys)
        }

        @Test func bodiesThatAreNone() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            let connection = try server.connect()
            for target in ["/api/rate-limits", "/api/rate-limits/check", "/api/rate-limits/refund"] {
                for body in [
                    "{", "", "[]x", "{\"name\":\"a\",}", "nul", "{\"a\":\"\u{1}\"}", "{\"name\":1,\"name\":2}",
                ] {
                    let answer = try connection.request("POST", target, body: body)
                    #expect(answer.status == 400, "\(target) \(body): \(answer.status) \(answer.text)")
                    #expect(answer.header("Content-Type") == "application/problem+json")
                }
                let text = try connection.request("POST", target, headers: [("Content-Type", "text/plain")], body: "{}")
                expectProblem(text, 415, target)
                let large = try server.request(
                    "POST", target, body: "{\"name\":\"\(String(repeating: "x", count: 2 << 20))\"}")
                expectProblem(large, 413, target)
            }
            expectProblem(try connection.request("GET", "/api/rate-limits/none"), 404, "a rule that is not there")
            let wrong = try connection.request("PATCH", "/api/rate-limits")
            expectProblem(wrong, 405, "PATCH")
            #expect(wrong.header("Allow")?.contains("POST") == true)
        }
    }
}
