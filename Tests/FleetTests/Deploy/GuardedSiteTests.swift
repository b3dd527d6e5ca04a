import TestSupport
import Testing

/// The site that nginx, Traefik, Caddy and Envoy guard by the files in deploy/, with the real programs, and clients that
/// say of themselves what only a proxy may say.
extension Fleet {
    @Suite(.serialized) struct GuardedSiteTests {
        @Test(arguments: GuardedSite.Proxy.allCases)
        func theLimitHolds(_ proxy: GuardedSite.Proxy) async throws {
            let site = try await GuardedSite(proxy)
            try site.replica.rule(#"{"name":"pages","strategy":"token_bucket","limit":3,"window":"7d"}"#)
            for _ in 0..<3 {
                let answer = try site.request("GET", "/page")
                #expect(answer.status == 200 && answer.text == "the page\n", "\(answer.text) \(site.log)")
            }
            let refused = try site.request("GET", "/page")
            #expect(refused.status == 429 && !refused.text.contains("the page"))
            // One token of three in seven days comes back every 201,600 s.
            #expect((201_500...201_600).contains(refused.header("Retry-After").flatMap { Int($0) } ?? 0))
        }

        /// Each field is a way to another path, another method or a fresh allowance where it is believed.
        @Test(arguments: GuardedSite.Proxy.allCases)
        func aClientCannotSayWhoItIsAndWhatItAsksFor(_ proxy: GuardedSite.Proxy) async throws {
            let site = try await GuardedSite(proxy)
            try site.replica.rule(
                #"{"name":"pages","strategy":"token_bucket","limit":3,"window":"7d","match":{"endpoint":"/page","method":"GET"}}"#
            )
            for _ in 0..<3 { #expect(try site.request("GET", "/page").status == 200) }
            for field in [
                ("X-Original-URI", "/open"), ("X-Original-Method", "POST"), ("X-Forwarded-Uri", "/open"),
                ("X-Forwarded-Method", "POST"), ("X-API-Key", "made-up"), ("X-User-Id", "made-up"), ("X-Tier", "gold"),
                ("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=203.0.113.9"), ("X-Real-IP", "203.0.113.9"),
                ("Connection", "X-Forwarded-Uri, X-Forwarded-Method, X-Forwarded-For, X-Original-URI"),
                ("X-Envoy-Original-Path", "/open"), ("X-Envoy-External-Address", "203.0.113.9"),
            ] {
                let answer = try site.request("GET", "/page", headers: [field])
                // Envoy takes some for no request at all.
                #expect(answer.status == 429 || answer.status == 400, "\(field): \(answer.status)")
            }
            let query = "/page?proxy=nginx&user-header=x-user-id&uri-header=x-original-uri&deny=401"
            #expect(try site.request("GET", query, headers: [("X-User-Id", "made-up")]).status == 429)
        }

        /// Another way to write a path leads to the same rule or to no page, in no proxy past the rule to the page.
        @Test(arguments: GuardedSite.Proxy.allCases)
        func aPathWrittenOtherwiseIsNoWayIn(_ proxy: GuardedSite.Proxy) async throws {
            let site = try await GuardedSite(proxy)
            try site.replica.rule(#"{"name":"page","action":"deny","match":{"endpoint":"/page"}}"#)
            for path in [
                "/page", "/page?x=1", "/p%61ge", "//page", "/./page", "/x/../page", "/x//../page", "/x/%2e%2e/page",
                "/%2Fpage",
                "/page/", "/PAGE",
            ] {
                let answer = try site.request("GET", path)
                #expect(answer.status >= 400 && !answer.text.contains("the page"), "\(path): \(answer.status)")
            }
            #expect(try site.request("GET", "/open").status == 200)
        }

        /// A list that denies holds for every method.
        @Test(arguments: GuardedSite.Proxy.allCases)
        func everyMethodIsDecided(_ proxy: GuardedSite.Proxy) async throws {
            let site = try await GuardedSite(proxy)
            try site.replica.rule(#"{"name":"all","action":"deny","match":{"endpoint":"/page"}}"#)
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                let body = ["POST", "PUT", "PATCH"].contains(method) ? "{}" : nil
                #expect(try site.request(method, "/page", body: body).status == 429, "\(method)")
            }
        }

        /// Behind a name of the site's own, as clients ask for it.
        @Test(arguments: GuardedSite.Proxy.allCases)
        func theSitesNameIsNoHindrance(_ proxy: GuardedSite.Proxy) async throws {
            let site = try await GuardedSite(proxy)
            let answer = try site.request("GET", "/page", host: "shop.example.net")
            #expect(answer.status == 200, "\(answer.text)")
        }

        /// Without a replica nobody knows: these files refuse then.
        @Test(arguments: [GuardedSite.Proxy.traefik, .caddy, .envoy])
        func withoutAReplicaNothingIsServed(_ proxy: GuardedSite.Proxy) async throws {
            let site = try await GuardedSite(proxy)
            #expect(try site.request("GET", "/page").status == 200)
            site.replica.program.process.kill()
            #expect(try site.request("GET", "/page").status >= 500)
        }
    }
}
