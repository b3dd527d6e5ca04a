// swift-tools-version: 6.2
import PackageDescription

// CLibevent's configuration header defines _GNU_SOURCE; every importer must agree or clean builds differ.
let gnu: [CSetting] = [.define("_GNU_SOURCE")]

let package = Package(
    name: "quartermaster",
    targets: [
        .systemLibrary(name: "CLibevent", providers: [.apt(["libevent-dev"])]),
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CSodium", providers: [.apt(["libsodium-dev"])]),
        .target(name: "Bytes"),
        .target(name: "EventLoops", dependencies: ["CLibevent", "CLinux"], cSettings: gnu),
        .target(name: "Telemetry", dependencies: ["Bytes"]),
        .testTarget(name: "TelemetryTests", dependencies: ["Telemetry", "Bytes", "JSON"]),
        .target(name: "Digests", dependencies: ["Bytes", "CSodium"]),
        .testTarget(name: "DigestsTests", dependencies: ["Digests", "Bytes"]),
        .executableTarget(
            name: "LoadTest", dependencies: ["Bytes", "EventLoops", "JSON", "Telemetry"], cSettings: gnu),
        .testTarget(
            name: "LoadTestTests", dependencies: ["LoadTest", "Bytes", "EventLoops", "JSON", "Telemetry"],
            cSettings: gnu),
        .target(name: "JSON", dependencies: ["Bytes"]),
        .testTarget(name: "JSONTests", dependencies: ["JSON", "Bytes"]),
    ]
)
