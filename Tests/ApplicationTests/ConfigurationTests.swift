import Services
import Telemetry
import Testing

@testable import Application

struct ConfigurationTests {
    private func read(
        _ flags: [String], environment: [String: String] = [:], files: [String: String] = [:]
    ) throws -> ConfigurationReader.Result {
        try ConfigurationReader(environment: environment) { path throws(ConfigurationError) in
            guard let text = files[path] else { throw ConfigurationError("cannot read \(path)") }
            return Array(text.utf8)
        }.read(flags)
    }

    @Test func defaults() throws {
        let result = try read([])
        let configuration = result.configuration
        #expect(configuration.host == "127.0.0.1" && configuration.port == nil && configuration.prefix == "qm:")
        #expect(configuration.redisURL == nil && !configuration.isEmbedded && configuration.isLoopbackOnly)
        #expect(result.arguments.isEmpty && !result.printsConfiguration && !result.wantsHelp)
    }

    @Test func flagsComeBeforeTheEnvironmentBeforeTheFile() throws {
        let files = ["f": #"{"port":1,"prefix":"file:","loops":1,"log-level":"error"}"#]
        let environment = ["QM_PORT": "2", "QM_PREFIX": "environment:", "QM_LOOPS": "2", "HOME": "/"]
        let configuration = try read(
            ["--config", "f", "--port", "3", "--prefix=flag:"], environment: environment, files: files
        ).configuration
        #expect(configuration.port == 3)
        #expect(configuration.prefix == "flag:")
        #expect(configuration.loops == 2)
        #expect(configuration.logLevel == .error)
        // The order of the flags does not matter, the last of a kind counts.
        let other = try read(["--port", "3", "--port=4", "--config=f"], files: files).configuration
        #expect(other.port == 4 && other.loops == 1)
    }

    @Test func theEnvironmentMayNameTheFileAndAFlagAnother() throws {
        let files = ["a": #"{"port":1}"#, "b": #"{"port":2}"#]
        #expect(try read([], environment: ["QM_CONFIG": "a"], files: files).configuration.port == 1)
        #expect(try read(["--config", "b"], environment: ["QM_CONFIG": "a"], files: files).configuration.port == 2)
    }

    @Test func everySettingIsReadFromEachPlace() throws {
        let values = [
            "host": "::1", "port": "81", "socket": "/run/qm", "max-connections": "5", "trusted-proxies": "10.0.0.0/8",
            "tokens": "t", "redis": "redis://h:1/2", "redis-file": "/run/redis-url", "embedded": "true",
            "data-dir": "d", "prefix": "p:",
            "replicas": "3",
            "loops": "4", "services": "a,b", "rules": "r", "check-budget": "7", "drain-delay": "8", "drain-grace": "9",
            "log-level": "debug", "log-format": "json", "with-worker": "true", "concurrency": "6", "types": "a,b",
            "queues": "c,d", "allow-crash": "true", "command-directory": "/srv/programs",
            "cleanup-root": "/srv/scratch",
            "data-root": "/srv/data", "work-grace": "10",
            "http-allowed-hosts": "a.example,*.b.example",
            "http-allow-private": "10.0.0.0/8", "webhook-secrets": "s", "smtp-url": "smtp://mail.example:587",
            "smtp-from": "a@b.example", "stock-escalate": "11", "ledger-days": "12",
            "stock-webhook": "https://hooks.example:8443", "allowed-hosts": "qm.example.com,other:8080",
            "max-streams": "13", "socket-mode": "660",
            "wait-replicas": "14", "max-queues": "15", "max-jobs-per-queue": "16",
        ]
        #expect(Set(values.keys) == Set(Setting.all.map(\.name)))
        for setting in Setting.all {
            let value = try #require(values[setting.name])
            #expect(setting.show(Configuration()) != value, "\(setting.name)")
            let file = ["f": #"{"\#(setting.name)":"\#(value)"}"#]
            for result in [
                try read(["--\(setting.name)=\(value)"]), try read([], environment: [setting.environmentName: value]),
                try read(["--config", "f"], files: file),
            ] {
                #expect(setting.show(result.configuration) == value, "\(setting.name)")
            }
        }
        #expect(Setting.all.first { $0.name == "drain-delay" }?.environmentName == "QM_DRAIN_DELAY")
    }

    @Test func filesTakeNumbersFlagsAndLists() throws {
        let text = #"{"port":8081,"embedded":true,"services":["a","b"],"trusted-proxies":["10.0.0.0/8","::1"]}"#
        let configuration = try read(["--config", "f"], files: ["f": text]).configuration
        #expect(configuration.port == 8081 && configuration.isEmbedded)
        #expect(configuration.services == ["a", "b"])
        #expect(configuration.trustedProxies == [AddressBlock("10.0.0.0/8"), AddressBlock("::1")])
    }

    @Test func switchesNeedNoValue() throws {
        let result = try read(["--embedded", "word", "--print-config", "--help"])
        #expect(result.configuration.isEmbedded && result.arguments == ["word"])
        #expect(result.printsConfiguration && result.wantsHelp)
        #expect(try !read(["--embedded=false"]).configuration.isEmbedded)
        #expect(try read(["-h"]).wantsHelp)
    }

    /// Each wrong value is refused with the place it came from and what would be right.
    @Test(arguments: [
        ("host", "example.org", "IPv4"), ("port", "65536", "0 to 65535"), ("port", "-1", "0 to 65535"),
        ("port", "http", "0 to 65535"), ("max-connections", "0", "1 to"),
        ("trusted-proxies", "10.0.0.1/8", "10.0.0.0/8"), ("trusted-proxies", "proxy", "10.0.0.0/8"),
        ("redis", "http://x", "redis://"), ("redis", "redis://h:0", "port"), ("embedded", "maybe", "true or false"),
        ("prefix", "a b", "braces"), ("prefix", "{a}", "braces"), ("replicas", "0", "1 to"),
        ("loops", "257", "0 to 256"),
        ("check-budget", "0", "1 to"), ("drain-delay", "1s", "0 to"), ("drain-grace", "600001", "0 to 600000"),
        ("allowed-hosts", "http://a", "qm.example.com"), ("allowed-hosts", "*.a", "qm.example.com"),
        ("max-streams", "0", "1 to"), ("log-level", "loud", "debug, info, warning, error"),
        ("log-format", "xml", "json or text"),
        ("socket", String(repeating: "x", count: 108), "108 bytes"),
    ])
    func wrongValuesAreNamed(_ name: String, _ value: String, _ right: String) {
        func check(_ place: String, _ flags: [String], _ environment: [String: String], _ files: [String: String]) {
            let error = #expect(throws: ConfigurationError.self) {
                try read(flags, environment: environment, files: files)
            }
            #expect(error?.description.hasPrefix(place + " ") == true, "\(error?.description ?? "")")
            #expect(error?.description.contains(right) == true, "\(error?.description ?? "")")
        }
        let variable = "QM_" + name.uppercased().replacing("-", with: "_")
        check("--\(name)", ["--\(name)=\(value)"], [:], [:])
        check(variable, [], [variable: value], [:])
        check("f: \(name)", ["--config", "f"], [:], ["f": #"{"\#(name)":"\#(value)"}"#])
    }

    @Test(arguments: ["[]", "5", "{", #"{"nonsense":1}"#, #"{"port":null}"#, #"{"port":1.5}"#, #"{"port":{}}"#])
    func wrongFilesAreNamed(_ text: String) {
        let error = #expect(throws: ConfigurationError.self) { try read(["--config", "f"], files: ["f": text]) }
        #expect(error?.description.hasPrefix("f: ") == true)
    }

    @Test func wordsThatAreNotUnderstoodAreAnErrorOfUsage() {
        for flags in [["--nonsense"], ["--port"], ["--config"], ["--"]] {
            #expect(throws: ConfigurationReader.UsageError.self) { try read(flags) }
        }
        #expect(throws: ConfigurationError("cannot read gone")) { try read(["--config", "gone"]) }
    }
}

struct SecretsTests {
    @Test(arguments: [
        ("redis://user:s3cret@host:6380/2", "redis://host:6380/2"), ("redis://:s3cret@host", "redis://host:6379"),
        ("redis://:s%20s3cret%40@[::1]", "redis://[::1]:6379"),
        ("unix:///run/redis.sock?db=3", "unix:///run/redis.sock?db=3"),
    ])
    func theRedisURLIsShownWithoutCredentials(_ url: String, _ shown: String) throws {
        let setting = try #require(Setting.all.first { $0.name == "redis" })
        var configuration = Configuration()
        try setting.read(url, &configuration)
        #expect(setting.show(configuration) == shown)
    }

    @Test(arguments: [
        ("smtp://user:s3cret@host:587", "smtp://host:587"), ("smtps://user:s3@cret@[::1]:465", "smtps://[::1]:465"),
        ("smtp://host?starttls=never", "smtp://host?starttls=never"), ("smtp://user:s3cret", ""), ("user:s3cret", ""),
    ])
    func theMailServerIsShownWithoutCredentials(_ url: String, _ shown: String) throws {
        let setting = try #require(Setting.all.first { $0.name == "smtp-url" })
        var configuration = Configuration()
        try setting.read(url, &configuration)
        #expect(setting.show(configuration) == shown)
    }

    /// A mistyped URL is told without repeating what may be a password.
    @Test(arguments: [
        "redis://:s3cret", "redis://user:s3cret", "redis://user:s3cret/0", "redis://s3cret@host",
        "redis://:s3cret@host:x",
        "redis://:s3cret@host/s3cret", "redis://:s3cret@", "http://:s3cret@host", "redis://:s3cret%@host",
        "redis://host/:s3cret", "redis://:pa/s3cret:1",
    ])
    func aWrongURLIsNotRepeated(_ url: String) throws {
        let setting = try #require(Setting.all.first { $0.name == "redis" })
        var configuration = Configuration()
        let error = #expect(throws: ConfigurationError.self) { try setting.read(url, &configuration) }
        #expect(error?.description.contains("s3cret") == false, "\(error?.description ?? "")")
    }

    @Test func theHelpNamesEverySetting() {
        for setting in Setting.all { #expect(Help.text.contains("--" + setting.name)) }
        #expect(Help.text.split(separator: "\n").allSatisfy { $0.count <= 130 })
    }
}
