{
  "targets": [
    {
      "target_name": "lean_aggregator",
      "sources": [
        "native/addon/addon.cc",
        "native/addon/arguments.cc",
        "native/addon/library.cc",
        "native/addon/process.cc",
        "native/addon/prover.cc"
      ],
      "dependencies": [
        "<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except_all"
      ],
      "defines": ["NAPI_VERSION=8"],
      "cflags_cc": ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"],
      "libraries": ["-ldl"],
      "xcode_settings": {
        "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
        "MACOSX_DEPLOYMENT_TARGET": "11.0",
        "OTHER_CPLUSPLUSFLAGS": ["-Wall", "-Wextra", "-Werror"]
      },
      "conditions": [["OS=='mac'", { "libraries!": ["-ldl"] }]]
    }
  ]
}
