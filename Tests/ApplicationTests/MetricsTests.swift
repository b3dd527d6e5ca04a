import TestSupport
import Testing

struct MetricsTests {
    @Test func answersAreCountedAndTimedByRoute() throws {
        let server = try TestServer(redis: try RedisServer.shared)
        #expect(try server.check(#"{"identifier":"ann"}"#).status == 200)
        #expect(try server.check("{}").status == 400)
        let text = try server.request("GET", "/metrics").text
        let route = #"method="POST",route="/api/rate-limits/check""#
        let lines = Set(text.split(separator: "\n").map(String.init))
        #expect(lines.contains("quartermaster_http_answers_total{\(route),status=\"2xx\"} 1"))
        #expect(lines.contains("quartermaster_http_answers_total{\(route),status=\"4xx\"} 1"))
        #expect(lines.contains("quartermaster_http_request_duration_seconds_count{\(route)} 2"))
    }
}
