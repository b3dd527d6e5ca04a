import Testing

@testable import LoadTest

struct MixTests {
    @Test func sharesAreThoseAskedFor() throws {
        let mix = try #require(Mix("80/15/5"))
        #expect(mix == Mix())
        var random = SplitMix64(seed: 3)
        var counts: [RequestKind: Int] = [:]
        for _ in 0..<100_000 { counts[mix.kind(&random), default: 0] += 1 }
        #expect((79_000...81_000).contains(counts[.check] ?? 0))
        #expect((14_300...15_700).contains(counts[.job] ?? 0))
        #expect((4_600...5_400).contains(counts[.reservation] ?? 0))
        #expect(counts[.settlement] == nil)
        let checks = try #require(Mix("100/0/0"))
        for _ in 0..<1000 { #expect(checks.kind(&random) == .check) }
    }

    @Test(arguments: ["80/15/6", "80/20", "100", "", "-5/100/5", "a/b/c", "80/15/5/0"])
    func othersAreRefused(_ text: String) { #expect(Mix(text) == nil) }
}

struct TimetableTests {
    @Test func readsFaultsInOrder() throws {
        let table = try Timetable.parse(
            "12s kill redis-1; 5s kill server-1;8.5s start server-1 ; 20s reshard 0-100 redis-2;")
        #expect(table.entries.map(\.atUs) == [5_000_000, 8_500_000, 12_000_000, 20_000_000])
        #expect(table.entries[3].words == ["reshard", "0-100", "redis-2"])
        #expect(table.entries[3].text == "reshard 0-100 redis-2")
        #expect(try Timetable.parse("") == .none)
    }

    @Test func onlyRedisLoses() throws {
        #expect(try !Timetable.parse("1s kill server-1; 2s reshard 0-5 redis-2; 3s start redis-1").mayLose)
        #expect(try Timetable.parse("1s kill server-1; 2s pause redis-1").mayLose)
    }

    @Test(arguments: [
        ("kill server-1", "no time"), ("5 kill server-1", "no time"), ("5s fly server-1", "none of the verbs"),
        ("-1s kill a", "no time"), ("nans kill a", "no time"), ("5s", "none of the verbs"),
        ("5s kill", "1 names"), ("5s kill a b", "1 names"), ("5s reshard 0-1", "2 names"),
        ("5s kill --dir", "1 names"), ("5s kill ../x", "1 names"), ("5s kill a;5s kill $(x)", "1 names"),
    ])
    func refusesByName(_ text: String, _ words: String) {
        do throws(UsageError) {
            _ = try Timetable.parse(text)
            Issue.record("\(text) was accepted")
        } catch { #expect(error.description.contains(words), "\(error)") }
    }
}

struct FleetCommandTests {
    private func parse(_ line: String) throws(UsageError) -> Command {
        try Command.parse(line.split(separator: " ").map(String.init))
    }

    @Test func readsAMixedRun() throws {
        let line =
            "mixed --url http://127.0.0.1:1 --redis redis://127.0.0.1:2 --mix 50/30/20 --rate 77 --durability replicated"
            + " --connections 3 --duration 4 --seed 5 --queues 6 --skus 7 --identifiers 8 --json a --svg b --record c"
        guard case .mixed(let options) = try parse(line) else { throw UsageError(description: "no run") }
        #expect(options.mix.text == "50/30/20" && options.rate == 77 && options.isReplicated)
        #expect(options.connections == 3 && options.durationUs == 4_000_000 && options.seed == 5)
        #expect(options.queues == 6 && options.products == 7 && options.identifiers == 8)
        #expect(options.json == "a" && options.svg == "b" && options.record == "c" && options.watchUs == nil)
        #expect(options.redis?.addresses == [.tcp(host: "127.0.0.1", port: 2)])
    }

    @Test func readsASoak() throws {
        guard case .mixed(let options) = try parse("soak --url http://127.0.0.1:1 --minutes 2 --dir /tmp/x")
        else { throw UsageError(description: "no run") }
        #expect(options.durationUs == 120_000_000 && options.watchUs == 5_000_000 && options.directory == "/tmp/x")
    }

    @Test(arguments: [
        ("mixed", "--url is missing"),
        ("mixed --url http://127.0.0.1:1 --mix 1/2/3", "three shares"),
        ("mixed --url http://127.0.0.1:1 --durability fsync", "memory or replicated"),
        ("soak --url http://127.0.0.1:1", "needs --dir"),
        ("check --redis redis://127.0.0.1:1", "needs --record"),
        ("check --redis redis+cluster://127.0.0.1:1,192.0.2.1:1 --record x", "not 192.0.2.1"),
        ("idle --url http://127.0.0.1:1 --idle 0", "--idle is an integer"),
    ])
    func refusesByName(_ line: String, _ words: String) {
        do throws(UsageError) {
            _ = try parse(line)
            Issue.record("\(line) was accepted")
        } catch { #expect(error.description.contains(words), "\(error)") }
    }

    @Test func readsWhatAFleetSaysOfItself() {
        let text =
            #"{"processes":[{"name":"server-1","role":"server","state":"running","pid":12,"port":34},"#
            + #"{"name":"redis-1","role":"redis","state":"dead","pid":null,"port":5}]}"#
        #expect(
            FleetControl.parse(text) == [
                .init(name: "server-1", role: "server", pid: 12, port: 34),
                .init(name: "redis-1", role: "redis", pid: nil, port: 5),
            ])
        #expect(FleetControl.parse("deploy: there is no fleet").isEmpty)
    }
}
