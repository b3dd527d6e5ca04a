import Testing

@testable import Redis

@Suite struct ConfigurationTests {
    struct Good: Sendable {
        var url: String
        var address: RedisConfiguration.Address
        var user: String?
        var password: String?
        var database = 0
        var shown: String
    }

    @Test(arguments: [
        Good(url: "redis://h", address: .tcp(host: "h", port: 6379), shown: "redis://h:6379"),
        Good(url: "redis://h:7000/3", address: .tcp(host: "h", port: 7000), database: 3, shown: "redis://h:7000/3"),
        Good(url: "redis://10.0.0.1:1/", address: .tcp(host: "10.0.0.1", port: 1), shown: "redis://10.0.0.1:1"),
        Good(url: "redis://[::1]", address: .tcp(host: "::1", port: 6379), shown: "redis://[::1]:6379"),
        Good(url: "redis://[::1]:65535", address: .tcp(host: "::1", port: 65_535), shown: "redis://[::1]:65535"),
        Good(
            url: "redis://:geheim@h", address: .tcp(host: "h", port: 6379), password: "geheim",
            shown: "redis://h:6379"),
        Good(
            url: "redis://ann:p%40ss%3A%2F%25@h:1/2", address: .tcp(host: "h", port: 1), user: "ann",
            password: "p@ss:/%", database: 2, shown: "redis://h:1/2"),
        Good(
            url: "redis://ann:a@b:c@h", address: .tcp(host: "h", port: 6379), user: "ann", password: "a@b:c",
            shown: "redis://h:6379"),
        Good(url: "unix:///run/r.sock", address: .unix(path: "/run/r.sock"), shown: "unix:///run/r.sock"),
        Good(
            url: "unix:///run/r.sock?db=4", address: .unix(path: "/run/r.sock"), database: 4,
            shown: "unix:///run/r.sock?db=4"),
        Good(
            url: "unix://ann:geheim@/run/r.sock", address: .unix(path: "/run/r.sock"), user: "ann",
            password: "geheim", shown: "unix:///run/r.sock"),
    ])
    func reads(_ good: Good) throws {
        let configuration = try RedisConfiguration(url: good.url)
        #expect(configuration.topology == .one(good.address))
        #expect(configuration.user == good.user)
        #expect(configuration.password == good.password)
        #expect(configuration.database == good.database)
        #expect("\(configuration)" == good.shown)
    }

    @Test(arguments: [
        "", "h:6379", "http://h", "redis://", "redis://:1", "redis://h:", "redis://h:0",
        "redis://h:65536", "redis://h:x", "redis://h:+1", "redis://h:-1", "redis://::1", "redis://[::1", "redis://[]",
        "redis://[::1]x", "redis://h/x", "redis://h/-1", "redis://h/+1", "redis://h/1/2", "redis://h?db=1",
        "redis://geheim@h", "redis://ann:@h", "redis://@h", "redis://ann:geheim%4@h", "redis://ann:geheim%zz@h",
        "redis://ann:geheim%+5@h", "redis://:geheim@h:x", "redis://:geheim@h/geheim", "unix://", "unix://relative",
        "unix://geheim@/run/r", "unix:///run/r?x=1", "unix:///run/r?db=x", "unix:///run/r?db=-1",
        "unix:///" + String(repeating: "x", count: 108),
    ])
    func refuses(_ url: String) {
        // The reason may be logged, so it must not repeat what could be a secret.
        let error = #expect(throws: RedisConfiguration.URLError.self) { try RedisConfiguration(url: url) }
        #expect(error?.description.contains("geheim") == false)
    }

    @Test(arguments: [
        ("redis+sentinel://a,b:1/shop", "redis+sentinel://a:26379,b:1/shop"),
        ("redis+sentinel://ann:geheim@a/shop/2?sentinelPassword=x", "redis+sentinel://a:26379/shop/2"),
        ("redis+cluster://a,[::1]:7001", "redis+cluster://a:6379,[::1]:7001"),
        ("rediss://:geheim@a/1?ca=/etc/ca.pem", "rediss://a:6379/1"),
        ("rediss+cluster://a", "rediss+cluster://a:6379"),
    ])
    func readsTopologies(_ url: String, _ shown: String) throws {
        if url.hasPrefix("rediss"), !RedisTLS.isAvailable {
            #expect(throws: RedisConfiguration.withoutTLS) { try RedisConfiguration(url: url) }
            return
        }
        #expect("\(try RedisConfiguration(url: url))" == shown)
    }

    @Test func topologiesHaveTheirParts() throws {
        let sentinel = try RedisConfiguration(url: "redis+sentinel://ann:geheim@a,b:1/shop/2?sentinelPassword=x%26")
        #expect(
            sentinel.topology
                == .sentinel([.tcp(host: "a", port: 26_379), .tcp(host: "b", port: 1)], master: "shop"))
        #expect(sentinel.database == 2 && sentinel.password == "geheim")
        #expect(sentinel.toSentinels.password == "x&" && sentinel.toSentinels.user == nil)
        #expect(sentinel.toSentinels.database == 0)
        guard RedisTLS.isAvailable else { return }
        let tls = try RedisConfiguration(url: "rediss+sentinel://a/shop?ca=/ca.pem")
        #expect(tls.tls == .init(authorityFile: "/ca.pem"))
    }

    @Test(arguments: [
        "redis+sentinel://a", "redis+sentinel://a/", "redis+sentinel:///shop", "redis+sentinel://a,/shop",
        "redis+sentinel://a/shop/x", "redis+sentinel://a/shop/1/2", "redis+cluster://a/1", "redis+cluster://",
        "redis+cluster://a,,b", "redis+other://a", "redis+cluster+x://a", "redis://a,b", "redis://a?ca=/x",
        "rediss://a?ca=relative", "rediss://a?geheim=1", "redis+cluster://a?sentinelPassword=geheim",
        "redis+sentinel://a/shop?sentinelPassword=", "redis+sentinel://a/shop?sentinelPassword=a&sentinelPassword=b",
    ])
    func refusesTopologies(_ url: String) {
        let error = #expect(throws: RedisConfiguration.URLError.self) { try RedisConfiguration(url: url) }
        #expect(error?.description.contains("geheim") == false)
    }
}
