// swift-tools-version: 6.2
import Foundation
import PackageDescription

/// CLibevent's configuration header defines _GNU_SOURCE; every importer must agree, or clean builds differ.
let gnu: [CSetting] = [.define("_GNU_SOURCE")]

/// hiredis has TLS from 1.0 on, in a library of its own beside it; Debian 12's does not.
let hasRedisTLS = ["/usr/include", "/usr/local/include"].contains { folder in
    ["hiredis/hiredis_ssl.h", "openssl/ssl.h"].allSatisfy { FileManager.default.fileExists(atPath: "\(folder)/\($0)") }
}
let redisTLS: (settings: [CSetting], libraries: [LinkerSetting]) =
    hasRedisTLS
    ? ([.define("QM_REDIS_TLS")], ["hiredis_ssl", "ssl", "crypto"].map { .linkedLibrary($0) }) : ([], [])

/// A service's target, with its Lua files embedded. Their base names are unique within a target.
func service(_ name: String, dependencies: [Target.Dependency], lua area: String, _ scripts: [String]) -> Target {
    .target(
        name: name, dependencies: dependencies,
        resources: scripts.map { .embedInCode("../../lua/\(area)/\($0).lua") })
}

/// Tests that start real servers.
func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(
        name: name + "Tests", dependencies: dependencies + ["TestSupport"], exclude: exclude, cSettings: gnu)
}

let package = Package(
    name: "quartermaster",
    products: [
        .executable(name: "quartermaster", targets: ["Quartermaster"]),
        .library(
            name: "QuartermasterKit",
            targets: ["Application", "Services", "RateLimiting", "JobScheduling", "Inventory"]),
    ],
    targets: [
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CLibevent", providers: [.apt(["libevent-dev"])]),
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CSodium", providers: [.apt(["libsodium-dev"])]),
        .systemLibrary(name: "CCurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .target(name: "Bytes"),
        .target(name: "Telemetry", dependencies: ["Bytes"]),
        .target(name: "Digests", dependencies: ["Bytes", "CSodium"]),
        .target(name: "JSON", dependencies: ["Bytes"]),
        .target(name: "TimeZones"),
        .target(name: "EventLoops", dependencies: ["CLibevent", "CLinux"], cSettings: gnu),
        .target(
            name: "Redis", dependencies: ["Bytes", "CHiredis", "EventLoops"], cSettings: redisTLS.settings,
            linkerSettings: redisTLS.libraries),
        .target(name: "HTTP", dependencies: ["Bytes", "EventLoops", "JSON"], cSettings: gnu),
        .target(name: "Webhooks", dependencies: ["Bytes", "CCurl", "EventLoops"], cSettings: gnu),
        service(
            "Services", dependencies: ["Bytes", "Digests", "EventLoops", "HTTP", "JSON", "Redis", "Telemetry"],
            lua: "services", ["presence"]),
        service(
            "RateLimiting",
            dependencies: [
                "Bytes", "Digests", "EventLoops", "HTTP", "JSON", "Redis", "Services", "Telemetry", "TimeZones",
            ],
            lua: "rate_limiting",
            [
                "clock", "token_bucket", "sliding_window", "sliding_window_counter", "fixed_window", "quota",
                "concurrency", "check_one", "check_all", "refund", "lease_renew", "lease_release", "rules_read",
                "rules_page", "rules_change", "rules_restore",
            ]),
        service(
            "JobScheduling",
            dependencies: [
                "Bytes", "Digests", "EventLoops", "HTTP", "JSON", "Redis", "Services", "Telemetry", "TimeZones",
                "Webhooks",
            ],
            lua: "job_scheduling",
            [
                "queue", "ties", "ends", "take", "fields", "runs", "enqueue", "finish_and_lease", "heartbeat", "cancel",
                "tick", "fire", "change", "batch_open", "batch", "settings", "read", "list", "figures", "audit",
                "list_queue", "peek",
                "worker_presence",
            ]),
        service(
            "Inventory",
            dependencies: ["Bytes", "Digests", "EventLoops", "HTTP", "JSON", "Redis", "Services", "Telemetry"],
            lua: "inventory",
            [
                "stock", "levels", "holds", "lines", "movements", "finish", "commit", "due", "due_first", "warehouse",
                "product",
                "order",
                "order_step", "order_announce", "publish", "alert", "books", "bulk", "bulk_step",
            ]),
        .target(
            name: "Application",
            dependencies: ["Bytes", "Digests", "EventLoops", "HTTP", "JSON", "Redis", "Services", "Telemetry"]),
        .executableTarget(
            name: "Quartermaster", dependencies: ["Application", "Inventory", "JobScheduling", "RateLimiting"]),
        .executableTarget(
            name: "LoadTest", dependencies: ["Bytes", "EventLoops", "JSON", "Redis", "Telemetry"], cSettings: gnu),

        .target(
            name: "TestSupport",
            dependencies: ["Application", "Bytes", "EventLoops", "JSON", "RateLimiting", "Services", "Telemetry"],
            path: "Tests/TestSupport"),
        .testTarget(name: "TelemetryTests", dependencies: ["Bytes", "JSON", "Telemetry"]),
        .testTarget(name: "DigestsTests", dependencies: ["Bytes", "Digests"]),
        .testTarget(name: "JSONTests", dependencies: ["Bytes", "JSON"]),
        .testTarget(
            name: "HTTPTests", dependencies: ["Bytes", "EventLoops", "HTTP", "JSON"], exclude: ["Corpus"],
            cSettings: gnu),
        .testTarget(
            name: "LoadTestTests",
            dependencies: ["Bytes", "EventLoops", "JSON", "LoadTest", "Redis", "Telemetry", "TestSupport"],
            cSettings: gnu),
        .testTarget(name: "BytesTests", dependencies: ["Bytes"]),
        .testTarget(name: "TimeZonesTests", dependencies: ["TimeZones"]),
        .testTarget(name: "EventLoopsTests", dependencies: ["EventLoops"], cSettings: gnu),
        .testTarget(name: "ServicesTests", dependencies: ["Bytes", "Digests", "JSON", "Services"], cSettings: gnu),
        .testTarget(name: "TidyTests"),
        tests(
            "Application",
            [
                "Application", "Bytes", "Digests", "EventLoops", "HTTP", "Inventory", "JSON", "JobScheduling",
                "RateLimiting", "Redis", "Services", "Telemetry",
            ]),
        tests("Redis", ["Bytes", "EventLoops", "Redis"]),
        tests(
            "RateLimiting",
            [
                "Bytes", "Digests", "EventLoops", "HTTP", "JSON", "RateLimiting", "Redis", "Services", "Telemetry",
                "TimeZones",
            ]),
        tests(
            "JobScheduling",
            [
                "Application", "Bytes", "Digests", "EventLoops", "HTTP", "JSON", "JobScheduling", "Redis", "Services",
                "Telemetry", "TimeZones", "Webhooks",
            ]),
        tests(
            "Inventory",
            [
                "Application", "Bytes", "Digests", "EventLoops", "HTTP", "Inventory", "JSON", "Redis", "Services",
                "Telemetry",
            ]),
        tests("Webhooks", ["Bytes", "EventLoops", "HTTP", "Webhooks"]),
        tests("Fleet", ["Bytes", "Digests", "EventLoops", "JSON", "Quartermaster"], exclude: ["Deploy/Manifests"]),
    ]
)

// Release builds go without the run-time checks for overlapping access to variables: they took more instructions than
// all else of an empty request (6,500 of 11,000). Tests run debug builds, which keep them.
for target in package.targets where target.type == .regular || target.type == .executable {
    target.swiftSettings = [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]
}
