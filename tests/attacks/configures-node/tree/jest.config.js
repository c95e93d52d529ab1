module.exports = { globalSetup: "./evil.cjs", testRunner: "./evil.cjs" };
